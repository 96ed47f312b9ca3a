/** The figures as people read them: a table for each distance, with what is too long for a column below it; pure. */
import type { MemoryFigures } from './memory.ts';
import type { TargetName } from './options.ts';
import { commandTotal } from './proxy/traffic.ts';
import type { Cell, Row, Sample } from './rounds.ts';
import { mean, median } from './statistics.ts';

/** Rows of cells, headings first. */
export type Table = readonly (readonly string[])[];

const NONE = '–';
const HEADINGS: Readonly<Record<TargetName, string>> = {
  popbridge: 'popbridge',
  dovecot: 'Dovecot POP3',
  imapc: 'peer (imapc)',
  raw: 'raw IMAP',
};

/** How long everything took at one distance. */
export function timeTable(rows: readonly Row[]): Table {
  const targets = rows[0]?.cells.map(({ target }) => target) ?? [];
  const headings = [`RTT ${rows[0]?.rttMs ?? 0} ms`, ...targets.map((target) => HEADINGS[target]), 'to peer', 'to raw'];
  return [
    headings,
    ...rows.map((row) => [row.scenario, ...row.cells.map((cell) => timeOf(row, cell)), ratio(row, 'imapc'), ratio(row, 'raw')]),
  ];
}

/** How often each target spoke and waited upstream, in one session: commands, round trips, connections. */
export function trafficTable(rows: readonly Row[]): Table {
  const targets = rows[0]?.cells.map(({ target }) => target).filter((target) => target !== 'dovecot') ?? [];
  const headings = ['upstream per session: commands / round trips', ...targets.map((target) => HEADINGS[target])];
  return [headings, ...rows.map((row) => [row.scenario, ...targets.map((target) => trafficOf(row, cellOf(row, target)))])];
}

/** Processor time of the bridges for each megabyte or each session, and how long the first octet of a message takes. */
export function costTable(rows: readonly Row[]): Table {
  const targets = rows[0]?.cells.map(({ target }) => target).filter((target) => target !== 'dovecot' && target !== 'raw') ?? [];
  const headings = ['CPU of the bridge, first octet of a message', ...targets.map((target) => HEADINGS[target])];
  return [headings, ...rows.map((row) => [row.scenario, ...targets.map((target) => costOf(row, cellOf(row, target)))])];
}

/** What the bridges hold in memory. */
export function memoryTable(figures: readonly MemoryFigures[]): Table {
  const line = (name: string, pick: (of: MemoryFigures) => string): string[] => [name, ...figures.map(pick)];
  return [
    line('memory', ({ target }) => HEADINGS[target]),
    line('PSS at rest', ({ atRest }) => mebibytes(atRest)),
    line('PSS per idle session', ({ perIdleSession }) => kibibytes(perIdleSession)),
    line('rise under 8 slow readers of 10 MiB', ({ slowReadersRise }) => mebibytes(slowReadersRise)),
    line('rise per client that never reads', ({ perSilentReader }) => kibibytes(perSilentReader)),
  ];
}

/** For a terminal. */
export function asText(table: Table): string {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0));
  return table.map((row) => row.map(pad).join('  ')).join('\n');
}

/** For README. */
export function asMarkdown(table: Table): string {
  const [headings = [], ...rows] = table;
  const rule = headings.map((_, column) => (column === 0 ? '---' : '--:'));
  return [headings, rule, ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function timeOf({ sessions }: Row, { samples, isScaled }: Cell): string {
  const ms = timeMs(samples);
  if (Number.isNaN(ms)) return NONE;
  if (sessions > 1) return `${short((sessions / ms) * 1000)}/s`;
  const text = ms < 1000 ? `${short(ms)} ms` : `${short(ms / 1000)} s`;
  return isScaled ? `~${text}` : text;
}

/** How many times as long the other takes. */
function ratio(row: Row, other: TargetName): string {
  const value = timeMs(cellOf(row, other)?.samples ?? []) / timeMs(cellOf(row, 'popbridge')?.samples ?? []);
  return Number.isNaN(value) ? NONE : `${cellOf(row, other)?.isScaled === true ? '~' : ''}${short(value)}x`;
}

function trafficOf({ sessions }: Row, cell: Cell | undefined): string {
  const seen = cell?.samples.flatMap(({ traffic }) => traffic ?? []) ?? [];
  if (seen.length === 0) return NONE;
  const commands = median(seen.map((traffic) => (commandTotal(traffic) ?? NaN) / sessions));
  const trips = median(seen.map(({ roundTrips }) => roundTrips / sessions));
  return `${Number.isNaN(commands) ? '?' : short(commands)} / ${short(trips)}`;
}

function costOf({ sessions, megabytes }: Row, cell: Cell | undefined): string {
  // The mean, as the kernel counts in steps of 10 ms.
  const cpu = mean(cell?.samples.flatMap(({ cpuMs }) => cpuMs ?? []) ?? []);
  const first = median(cell?.samples.flatMap(({ firstOctetMs }) => firstOctetMs ?? []) ?? []);
  if (Number.isNaN(cpu)) return NONE;
  const cost = megabytes === undefined ? `${short(cpu / sessions)} ms/session` : `${short(cpu / megabytes)} ms/MB`;
  return Number.isNaN(first) ? cost : `${cost}, ${short(first)} ms`;
}

function timeMs(samples: readonly Sample[]): number {
  return median(samples.map(({ ms }) => ms));
}

function cellOf(row: Row, target: TargetName): Cell | undefined {
  return row.cells.find((cell) => cell.target === target);
}

const mebibytes = (kib: number): string => `${(kib / 1024).toFixed(1)} MiB`;
const kibibytes = (kib: number): string => `${kib.toFixed(0)} KiB`;

/** Three digits are more than a shared machine is good for. */
function short(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
