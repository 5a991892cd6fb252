import type { Archive } from '../compositions/archive/index.ts';
import type { Store } from '../store/store.ts';
import { type Environment, Examination, type StoreNode } from './examine.ts';
import { type ConfigFault, faultsError } from './faults.ts';
import { openPrepared, Preparation } from './prepare.ts';
import { archive } from './types/archive.ts';

/** How data becomes a store. */
export interface DefinitionOptions {
  readonly environment?: Environment;
  readonly resolvePath?: (path: string) => string;
  /** What the data stands in, for errors. Default nothing. */
  readonly where?: string;
  /** Opens one store that lies under layers alone for reading. Default false. */
  readonly reading?: boolean;
  /** Hears of the stores before anything is opened; what it throws ends the opening. */
  readonly onNode?: (node: StoreNode) => void;
}

/** Everything that is wrong with the data of one store. Imports what it names; opens nothing. */
export async function checkDefinition(
  value: unknown,
  path: string,
  options: DefinitionOptions = {},
): Promise<readonly ConfigFault[]> {
  return checked(options, (examination) => examination.store(value, path));
}

/** As `checkDefinition`, of an archive. */
export async function checkArchive(
  value: unknown,
  path: string,
  options: DefinitionOptions = {},
): Promise<readonly ConfigFault[]> {
  return checked(options, (examination) => examination.around(value, archive, 'archive', path));
}

async function checked<Made>(
  options: DefinitionOptions,
  look: Look<Made>,
): Promise<readonly ConfigFault[]> {
  const { faults, node } = examined(options, look);
  if (node === undefined) return faults;
  const preparation = new Preparation();
  await preparation.store(node);
  return preparation.faults;
}

/** Opens the store that the data describes. Errors: those of its faults, then those of the stores. */
export async function openDefinition(
  value: unknown,
  path: string,
  options: DefinitionOptions = {},
): Promise<Store<unknown>> {
  const { where = '', onNode, reading = false } = options;
  const { faults, node } = examined({ environment: {}, ...options }, (examination) =>
    examination.store(value, path),
  );
  if (node === undefined) throw faultsError(faults, where);
  onNode?.(node);
  return prepareAndOpen(reading ? forReading(node) : node, where);
}

/**
 * Opens the archive that the data describes; closing it closes its stores. With `reading` the cold
 * store is the one that is opened so. Errors as of `openDefinition`.
 */
export async function openArchiveDefinition(
  value: unknown,
  path: string,
  options: Omit<DefinitionOptions, 'onNode'> = {},
): Promise<Archive> {
  const { where = '', reading = false } = options;
  const { faults, node } = examined({ environment: {}, ...options }, (examination) =>
    examination.around(value, archive, 'archive', path),
  );
  if (node === undefined) throw faultsError(faults, where);
  const { cold, ...others } = node.parts;
  const parts = { ...others, cold: forReading(cold as StoreNode) };
  return prepareAndOpen(reading ? { ...node, parts } : node, where);
}

async function prepareAndOpen<Made>(node: StoreNode<Made>, where: string): Promise<Made> {
  const preparation = new Preparation();
  const prepared = await preparation.store(node);
  if (prepared === undefined) throw faultsError(preparation.faults, where);
  return openPrepared(prepared);
}

type Look<Made> = (examination: Examination) => StoreNode<Made> | undefined;

function examined<Made>(
  { environment, resolvePath = (given) => given }: DefinitionOptions,
  look: Look<Made>,
): { readonly faults: readonly ConfigFault[]; readonly node: StoreNode<Made> | undefined } {
  const examination = new Examination({ environment, resolvePath });
  const node = look(examination);
  return { faults: examination.faults, node };
}

/** A store beside the one that writes it. Whatever writes on its own account stays as it is. */
function forReading(node: StoreNode): StoreNode {
  const { spec, values, parts, type } = node;
  if (spec.kind === 'driver') {
    const canRead = Object.hasOwn(spec.fields, 'readonly') && values.path !== ':memory:';
    return canRead ? { ...node, values: { ...values, readonly: true } } : node;
  }
  const { store } = parts;
  if (spec.kind !== 'layer' || type === 'watchable' || store === undefined || 'length' in store)
    return node;
  return { ...node, parts: { ...parts, store: forReading(store as StoreNode) } };
}
