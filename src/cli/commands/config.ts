import { isStoreUrl, parseStoreUrl, withoutSecrets } from '../../config/address.ts';
import { type ConfigFault, faultText } from '../../config/faults.ts';
import { isOpenStore, type NamedValue } from '../../config/named-stores.ts';
import { checkArchive, checkDefinition } from '../../config/open-definition.ts';
import { configSchema } from '../../config/schema.ts';
import { StrataError, show } from '../../store/errors.ts';
import { describeStore } from '../../store/index.ts';
import { type Command, type CommandInput, defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { flag, usageError } from '../flags.ts';
import { type LoadedConfig, loadConfig } from '../stores/config.ts';
import { oneLine, showCount } from '../terminal/printable.ts';

const FLAGS = { 'no-env': flag.on('check: takes what variables hold on trust') };

type Input = CommandInput<typeof FLAGS>;

export const configCommand: Command = defineCommand({
  name: 'config',
  summary: 'check the configuration that gives stores names',
  args: ['check|schema', 'FILE?'],
  flags: FLAGS,
  details: [
    'check reads strata.config.ts or .json, FILE or --config FILE, and tells everything that is',
    'wrong in it, each with its place; then it exits with 2. No store is opened. A store that is open',
    'in a module, or a function that makes one, is not looked at. schema prints the JSON Schema of a',
    'configuration, for editors.',
  ].join('\n'),
  examples: [
    ['stratakv config check', 'the configuration of this folder'],
    ['stratakv config check deploy/strata.json --no-env', 'where the secrets are not at hand'],
    ['stratakv config schema > strata.schema.json', 'for an editor'],
  ],
  async run(context, input) {
    const [word = ''] = input.args;
    if (word === 'check') return check(context, input);
    if (word !== 'schema')
      throw usageError('config', `${show(word)} is no action; expected check or schema`);
    if (input.args[1] !== undefined) throw usageError('config', 'schema takes no FILE');
    await context.out.line(JSON.stringify(configSchema(), undefined, 2));
    return EXIT.ok;
  },
});

async function check(context: Context, { flags, args }: Input): Promise<ExitCode> {
  const { out, err, json } = context;
  if (args[1] !== undefined && flags.config !== undefined)
    throw usageError('config', 'FILE and --config exclude each other');
  const config = await loadConfig(args[1] ?? flags.config);
  if (config === undefined)
    throw usageError('config', 'there is no strata.config.ts here; name a FILE');
  const { stores, archives, file } = config;
  const onTrust = flags['no-env'] === true;
  const faults: ConfigFault[] = [...config.faults];
  for (const store of stores) faults.push(...(await faultsOf(context, config, store, onTrust)));
  for (const one of archives)
    faults.push(...(await faultsOf(context, config, one, onTrust, checkArchive)));
  const told = stores.map((store) => ({ name: store.name, type: typeOf(store) }));
  const toldArchives = archives.map(({ name }) => ({ name, type: 'archive' }));
  if (json) await out.line(JSON.stringify({ file, stores: told, archives: toldArchives, faults }));
  else {
    for (const { name, type } of [...told, ...toldArchives])
      await out.line(`${oneLine(name)}  ${oneLine(type)}`);
    for (const fault of faults)
      await err.line(`${context.errStyle.red(fault.code)}: ${oneLine(faultText(fault))}`);
  }
  const found = faults.length === 0 ? 'nothing wrong' : `${showCount(faults.length)} wrong`;
  context.note(`${found} in ${file}`);
  return faults.length === 0 ? EXIT.ok : EXIT.usage;
}

async function faultsOf(
  { environment }: Context,
  { resolvePath }: LoadedConfig,
  { value, path }: NamedValue,
  onTrust: boolean,
  check = checkDefinition,
): Promise<readonly ConfigFault[]> {
  if (isOpenStore(value) || typeof value === 'function' || isServed(value)) return [];
  return check(value, path, { resolvePath, ...(!onTrust && { environment }) });
}

/** A served store is what the commands alone open. */
function isServed(value: unknown): boolean {
  if (typeof value !== 'string' || !isStoreUrl(value)) return false;
  try {
    return parseStoreUrl(value).scheme === 'ws';
  } catch (error) {
    // What is wrong with an address is told by the check.
    if (error instanceof StrataError) return false;
    throw error;
  }
}

function typeOf({ value }: NamedValue): string {
  if (typeof value === 'string') return withoutSecrets(value);
  if (typeof value === 'function') return 'a function, which is not called';
  if (isOpenStore(value)) return `${describeStore(value).type}, open`;
  const type = (value as { readonly type?: unknown } | null | undefined)?.type;
  return typeof type === 'string' ? type : 'no store';
}
