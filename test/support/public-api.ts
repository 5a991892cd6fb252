/** What the package offers to its users, read from package.json and the sources. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import ts from 'typescript';

export interface EntryPoint {
  /** As in package.json, for example `./sync/node`. */
  readonly subpath: string;
  /** The source file, for example `src/sync/node.ts`. */
  readonly source: string;
}

interface Manifest {
  readonly exports: Readonly<
    Record<string, string | { readonly types: string; readonly default: string }>
  >;
}

/** The entry points that package.json names, each with the source that its `dist` file is made from. */
export function declaredEntryPoints(): EntryPoint[] {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
  return Object.entries(exports).flatMap(([subpath, target]) =>
    typeof target === 'string'
      ? []
      : [{ subpath, source: target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts') }],
  );
}

/** The sources that by their place are entry points: whatever is there must be in package.json. */
export function existingEntryPoints(): string[] {
  const single = [
    'src/index.ts',
    'src/blobs/index.ts',
    'src/compositions/archive/index.ts',
    'src/compositions/archive/redis/index.ts',
    'src/config/index.ts',
    'src/sync/index.ts',
    'src/sync/node.ts',
    'src/testing/index.ts',
    'src/walk/index.ts',
    'src/walk/ipld.ts',
  ];
  return [
    ...single.filter((path) => existsSync(path)),
    ...globSync('src/{drivers,kernel}/*/index.ts'),
  ].filter((path) => !path.startsWith('src/drivers/memory/'));
}

/** The names exported from the entry points whose declarations have no doc comment. */
export function undocumentedExports(entryPoints: readonly EntryPoint[]): string[] {
  const files = entryPoints.map(({ source }) => source).filter((path) => existsSync(path));
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2024,
    module: ts.ModuleKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
    noLib: true,
    types: [],
    skipLibCheck: true,
  };
  const program = ts.createProgram(files, options);
  const checker = program.getTypeChecker();
  return files.flatMap((path) => {
    const file = program.getSourceFile(path);
    const module = file === undefined ? undefined : checker.getSymbolAtLocation(file);
    if (module === undefined) return [`${path}: exports nothing`];
    return checker.getExportsOfModule(module).flatMap((name) => {
      const symbol = name.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(name) : name;
      const declarations = symbol.declarations ?? [];
      if (declarations.length === 0) return [`${path}: ${name.name} leads nowhere`];
      return declarations.some(hasDocComment) ? [] : [`${path}: ${name.name} has no doc comment`];
    });
  });
}

function hasDocComment(declaration: ts.Declaration): boolean {
  // The comment of a variable stands at its statement, which getJSDocCommentsAndTags knows.
  return ts.getJSDocCommentsAndTags(declaration).length > 0 || ts.isSourceFile(declaration);
}
