/**
 * `npm run bench`: measures what the documentation claims. `npm run bench -- hits lmdb` runs the
 * suites named, `--json` prints rows of { name, value, unit, reference, ratio }, `--list` the names.
 */
import { parseArgs } from 'node:util';
import { Child } from './lib/child.ts';
import { machine, printJson, printTable } from './lib/print.ts';
import { type Row, reached } from './lib/row.ts';
import { scale } from './lib/scaled.ts';
import type { SuiteCalls } from './programs/suite.ts';
import { suites } from './suites/index.ts';

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

/** With `--json` the standard output is the rows alone. */
const say = values.json ? console.error : console.log;
const rows: Row[] = [];
say(machine());
if (scale !== 1)
  say(`STRATAKV_BENCH_SCALE is ${scale}: figures of suites that heed it mean nothing`);
for (const { name, about, alone } of suites) {
  if (positionals.length === 0 ? alone : !positionals.includes(name)) continue;
  say(`\n${name}: ${about}`);
  await using child = new Child<SuiteCalls>('suite');
  try {
    const { rows: measured, missing, failure } = await child.call('run', name);
    if (!values.json) printTable(measured);
    if (missing !== undefined) say(`not measured: ${missing}`);
    rows.push(...measured);
    if (failure !== undefined) throw new Error(failure);
  } catch (error) {
    say(`failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
if (values.json) printJson(rows);
const judged = rows.map(reached).filter((result) => result !== undefined);
say(`\n${judged.filter(Boolean).length} of ${judged.length} goals reached`);
