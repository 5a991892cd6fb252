/**
 * `npm run bench`: measures what the documentation claims. `npm run bench -- hits lmdb` runs the
 * suites named, `--json` prints rows of { name, value, unit, reference, ratio }, `--list` the names.
 */
import { parseArgs } from 'node:util';
import { machine, printTable } from './lib/print.ts';
import { reached, type Row, type Suite } from './lib/row.ts';
import { bundle } from './suites/bundle.ts';
import { hits } from './suites/hits.ts';
import { lmdbSuite } from './suites/lmdb.ts';
import { redisSuite } from './suites/redis.ts';
import { serverMemory } from './suites/server-memory.ts';
import { syncSuite } from './suites/sync.ts';

const suites: readonly Suite[] = [hits, lmdbSuite, redisSuite, syncSuite, serverMemory, bundle];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, list: { type: 'boolean' } },
});

const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0 || values.list) {
  for (const suite of suites) console.log(`${suite.name.padEnd(16)}${suite.about}`);
  if (unknown.length > 0) console.error(`no such suite: ${unknown.join(', ')}`);
  process.exit(unknown.length > 0 ? 2 : 0);
}

const rows: Row[] = [];
const chosen = suites.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
for (const suite of chosen) {
  const mine: Row[] = [];
  if (!values.json) console.log(`\n${suite.name}: ${suite.about}`);
  await suite.run((row) => mine.push(row));
  if (!values.json) printTable(mine);
  rows.push(...mine);
}
if (values.json) {
  console.log(JSON.stringify({ machine: machine(), date: new Date().toISOString(), rows }, null, 1));
} else {
  const judged = rows.map(reached).filter((result) => result !== undefined);
  console.log(`\n${machine()}`);
  console.log(`${judged.filter(Boolean).length} of ${judged.length} goals reached`);
}
