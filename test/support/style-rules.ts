/** The house style that no other tool checks, as rules over one parsed source file. */
import ts from 'typescript';

export interface Source {
  /** Relative to the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

/** Looks at one file; gives a line like `src/a.ts:12: what is wrong` for every breach. */
export type Rule = (source: Source) => string[];

const maxFileLines = 400;
const maxFunctionLines = 70;

/** Where the real clock, timers and randomness may be touched; everything else gets an `Env`. */
const worldly =
  /^(src\/(drivers|sync\/transports|cli|console)\/|src\/sync\/node|src\/store\/system-env\.ts)/;

const worldlyCalls: ReadonlySet<string> = new Set([
  'Date.now',
  'performance.now',
  'Math.random',
  'crypto.getRandomValues',
  'crypto.randomUUID',
  'setTimeout',
  'setInterval',
  'setImmediate',
]);

export function parse(path: string, text: string): Source {
  const kind = path.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, kind);
  return { path, text, tree };
}

export const isTest = (path: string): boolean => /\.test\.tsx?$/.test(path);
const isProduct = (path: string): boolean => path.startsWith('src/') && !isTest(path);

export const shortFiles: Rule = ({ path, text }) => {
  const lines = text.trimEnd().split('\n').length;
  return lines > maxFileLines ? [`${path}: ${lines} lines, more than ${maxFileLines}`] : [];
};

export const shortFunctions: Rule = (source) =>
  isTest(source.path)
    ? []
    : breaches(source, (node) => {
        if (!ts.isFunctionLike(node)) return undefined;
        const first = source.tree.getLineAndCharacterOfPosition(node.getStart()).line;
        const last = source.tree.getLineAndCharacterOfPosition(node.getEnd()).line;
        const lines = last - first + 1;
        return lines > maxFunctionLines
          ? `a function of ${lines} lines, more than ${maxFunctionLines}`
          : undefined;
      });

export const noAny: Rule = (source) =>
  breaches(source, (node) => (node.kind === ts.SyntaxKind.AnyKeyword ? '`any`' : undefined));

export const noSilencing: Rule = ({ path, text }) =>
  text.split('\n').flatMap((line, index) => {
    const found = /@ts-(ignore|nocheck|expect-error)|\b(TODO|FIXME|XXX)\b/.exec(line);
    if (found === null) return [];
    // A type test states with @ts-expect-error that something must not compile.
    if (found[1] === 'expect-error' && isTest(path)) return [];
    return [`${path}:${index + 1}: ${found[0]}`];
  });

export const noSwallowedErrors: Rule = (source) =>
  breaches(source, (node) =>
    ts.isCatchClause(node) && node.block.statements.length === 0 ? 'an empty catch' : undefined,
  );

export const noUnexplainedSkips: Rule = (source) =>
  breaches(source, (node) => {
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression))
      return undefined;
    const { expression, name } = node.expression;
    if (!/^(test|it|describe)\b/.test(expression.getText())) return undefined;
    if (['only', 'todo', 'fails'].includes(name.text)) return `.${name.text}`;
    if (!['skip', 'skipIf', 'runIf'].includes(name.text)) return undefined;
    const titled = /skipped/.test(node.arguments[0]?.getText() ?? '');
    return titled || commentAbove(source, node)
      ? undefined
      : `.${name.text} without a written reason`;
  });

export const worldThroughEnv: Rule = (source) =>
  !isProduct(source.path) || worldly.test(source.path)
    ? []
    : breaches(source, (node) => {
        if (ts.isNewExpression(node) && node.expression.getText() === 'Date') {
          return (node.arguments ?? []).length === 0 ? 'new Date()' : undefined;
        }
        if (!ts.isCallExpression(node)) return undefined;
        const called = node.expression.getText().replace(/^globalThis\./, '');
        return worldlyCalls.has(called) ? `${called}, which belongs behind Env` : undefined;
      });

export const noConsole: Rule = (source) =>
  !isProduct(source.path)
    ? []
    : breaches(source, (node) =>
        ts.isPropertyAccessExpression(node) && node.expression.getText() === 'console'
          ? 'console output in the library'
          : undefined,
      );

export const extensionsWritten: Rule = (source) =>
  breaches(source, (node) => {
    const specifier =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : undefined;
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return undefined;
    if (!specifier.text.startsWith('.') || /\.(tsx?|mjs|css|json)$/.test(specifier.text))
      return undefined;
    return `the import of '${specifier.text}' does not name a source file`;
  });

/** Addresses that mean something on one machine only. */
export function placesOfOneMachine(path: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const found = /(?<![\w.~-])\/(work|root|tmp|home)\/|\bregistry\.[a-z0-9-]+\.[a-z]{2,}/.exec(
      line,
    );
    return found === null ? [] : [`${path}:${index + 1}: ${found[0]}`];
  });
}

function breaches(source: Source, look: (node: ts.Node) => string | undefined): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const breach = look(node);
    if (breach !== undefined) {
      const { line } = source.tree.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${source.path}:${line + 1}: ${breach}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source.tree);
  return found;
}

function commentAbove(source: Source, node: ts.Node): boolean {
  const { line } = source.tree.getLineAndCharacterOfPosition(node.getStart());
  const above = source.text.split('\n')[line - 1] ?? '';
  return /^\s*(\/\/|\*|\/\*)/.test(above);
}
