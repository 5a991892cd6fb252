/** Paints text for a terminal, or leaves it plain. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

const paint =
  (open: number, close: number, colored: boolean) =>
  (text: string): string =>
    colored && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;

/** Colors only where a person looks and has not set NO_COLOR. */
export function styleFor(isTerminal: boolean, environment: NodeJS.ProcessEnv): Style {
  const colored = isTerminal && (environment.NO_COLOR ?? '') === '' && environment.TERM !== 'dumb';
  return {
    bold: paint(1, 22, colored),
    dim: paint(2, 22, colored),
    red: paint(31, 39, colored),
    green: paint(32, 39, colored),
    yellow: paint(33, 39, colored),
    cyan: paint(36, 39, colored),
  };
}
