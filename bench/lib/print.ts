import { cpus, totalmem, type } from 'node:os';
import { reached, type Row } from './row.ts';

/** The machine, in one line: figures mean nothing without it. */
export function machine(): string {
  const all = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${all.length} x ${all[0]?.model.trim() ?? 'unknown processor'}, ${memory} GiB, ${type()}, Node ${process.version}`;
}

function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

function goalText(row: Row): string {
  const { goal } = row;
  if (goal === undefined) return '';
  const least = goal.least === undefined ? '' : `>= ${figure(goal.least)}`;
  const most = goal.most === undefined ? '' : `<= ${figure(goal.most)}`;
  return `${least}${most}${goal.of === 'ratio' ? ' x' : ''} ${reached(row) ? 'reached' : 'MISSED'}`;
}

export function printTable(rows: readonly Row[]): void {
  const cells = rows.map((row) => [
    row.name,
    `${figure(row.value)} ${row.unit}`,
    row.ratio === undefined ? '' : `${row.ratio.toFixed(2)} x`,
    row.reference ?? '',
    goalText(row),
  ]);
  const all = [['figure', 'value', 'ratio', 'against', 'goal'], ...cells];
  const widths = all[0]?.map((_, at) => Math.max(...all.map((line) => line[at]?.length ?? 0))) ?? [];
  for (const line of all) {
    console.log(line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ').trimEnd());
  }
}
