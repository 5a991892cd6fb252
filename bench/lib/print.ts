import { cpus, totalmem, type } from 'node:os';
import { type Row, reached } from './row.ts';

/** The machine, in one line: figures mean nothing without it. */
export function machine(): string {
  const all = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${all.length} x ${all[0]?.model.trim() ?? 'unknown processor'}, ${memory} GiB, ${type()}, Node ${process.version}`;
}

export function printTable(rows: readonly Row[]): void {
  if (rows[0]?.column === undefined) printRows(rows);
  else printMatrix(rows);
}

function printRows(rows: readonly Row[]): void {
  const cells = rows.map((row) => [
    row.name,
    `${figure(row.value)} ${row.unit}`,
    row.ratio === undefined ? '' : `${figure(row.ratio)} x`,
    [row.against, row.reference === undefined ? undefined : figure(row.reference)]
      .filter((part) => part !== undefined)
      .join(' '),
    goalText(row),
  ]);
  printLines([['figure', 'value', 'ratio', 'of', 'goal'], ...cells]);
}

/** One line for each name, one column for each of theirs. */
function printMatrix(rows: readonly Row[]): void {
  const columns = [...new Set(rows.map(({ column }) => column ?? ''))];
  const names = [...new Set(rows.map(({ name }) => name))];
  const lines = names.map((name) =>
    columns.map((column) => {
      const row = rows.find((one) => one.name === name && one.column === column);
      return row === undefined ? '-' : `${figure(row.value)} ${row.unit}`.trim();
    }),
  );
  printLines([['', ...columns], ...lines.map((line, i) => [names[i] ?? '', ...line])]);
}

function printLines(all: readonly (readonly string[])[]): void {
  const widths = (all[0] ?? []).map((_, at) =>
    Math.max(...all.map((line) => line[at]?.length ?? 0)),
  );
  for (const line of all)
    console.log(
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

/** All rows as one JSON array, a row on each line. */
export function printJson(rows: readonly Row[]): void {
  const lines = rows.map((row) => {
    const { name, value, unit, reference = null, ratio = null, against = null, goal = null } = row;
    const column = row.column === undefined ? {} : { column: row.column };
    const judged = reached(row) ?? null;
    return JSON.stringify({
      name,
      ...column,
      value,
      unit,
      reference,
      ratio,
      against,
      goal,
      reached: judged,
    });
  });
  console.log(`[\n${lines.join(',\n')}\n]`);
}

function figure(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value.toLocaleString('en');
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function goalText(row: Row): string {
  const { goal } = row;
  if (goal === undefined) return '';
  const least = goal.least === undefined ? '' : `>= ${figure(goal.least)}`;
  const most = goal.most === undefined ? '' : `<= ${figure(goal.most)}`;
  return `${least}${most}${goal.of === 'ratio' ? ' x' : ''} ${reached(row) ? 'reached' : 'MISSED'}`;
}
