/**
 * The import rule: an import points to a lower level, never sideways between drivers, layers or
 * compositions. Type-only imports count. Tests beside their sources are exempt.
 */

/** Folders of src and the folders that each may import besides itself. */
const mayImport = {
  store: [],
  kernel: ['store'],
  drivers: ['store', 'kernel'],
  layers: ['store', 'kernel'],
  walk: ['store', 'kernel'],
  compositions: ['store', 'kernel', 'drivers', 'layers', 'walk'],
  blobs: ['store', 'kernel', 'drivers', 'layers', 'walk'],
  sync: ['store', 'kernel', 'drivers', 'layers', 'walk'],
  testing: ['store', 'kernel', 'drivers', 'layers', 'walk', 'compositions', 'blobs', 'sync'],
  console: ['store', 'kernel', 'drivers', 'layers', 'walk', 'compositions', 'blobs', 'sync'],
  config: ['store', 'kernel', 'drivers', 'layers', 'walk', 'compositions', 'blobs', 'sync'],
};

const test = String.raw`\.test\.tsx?$`;

const levels = Object.entries(mayImport).map(([folder, lower]) => ({
  name: `level-${folder}`,
  comment: `src/${folder} may import only itself${lower.map((name) => `, ${name}`).join('')}.`,
  severity: 'error',
  from: { path: `^src/${folder}/`, pathNot: test },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...lower].join('|')})/` },
}));

/** Parts that stand side by side: none imports another. A part is a folder or a file of its own. */
const sideBySide = ['drivers', 'layers', 'compositions'].map((folder) => ({
  name: `apart-${folder}`,
  comment: `What stands side by side in src/${folder} does not import its neighbours.`,
  severity: 'error',
  from: { path: `^src/${folder}/([^/.]+)`, pathNot: test },
  to: { path: `^src/${folder}/`, pathNot: `^src/${folder}/$1[/.]` },
}));

/** Node and packages are touched at the edges only. */
const edges = '^src/(drivers|walk/walkers|sync/transports|sync/node|testing|config|cli|console)';
const nodeEdges =
  '^src/(drivers/(file|lmdb|redis|sqlite)|sync/(transports/)?[^/]*(node|server)|testing/node|config|cli)';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...levels,
    ...sideBySide,
    {
      name: 'entry-index',
      comment: 'src/index.ts gathers what is public; nothing inside imports it, except the top.',
      severity: 'error',
      from: { path: '^src/', pathNot: [test, '^src/(cli|console|testing)/'] },
      to: { path: String.raw`^src/index\.ts$` },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'node-at-the-edges',
      comment: 'What a browser can load touches nothing of Node.',
      severity: 'error',
      from: { path: '^src/', pathNot: [test, nodeEdges] },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'packages-at-the-edges',
      comment:
        'The core has no dependencies; a driver, transport, codec, walker of a format or the console has its own.',
      severity: 'error',
      from: { path: '^src/', pathNot: [test, edges, '^src/layers/encoded'] },
      to: { path: 'node_modules' },
    },
    {
      name: 'no-tests-from-product',
      severity: 'error',
      from: { path: '^src/', pathNot: test },
      to: { path: [test, '^(test|bench|scripts)/'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
    },
  },
};
