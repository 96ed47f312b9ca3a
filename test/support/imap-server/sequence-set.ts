/** Sets of UIDs or message sequence numbers (RFC 3501 section 9, `sequence-set`). */
import { SyntaxFault } from './syntax.ts';

const LARGEST = 0xffff_ffff;
/** Stands for `*`, whose value depends on the mailbox. */
const LAST = Number.POSITIVE_INFINITY;

export type Range = readonly [first: number, last: number];

/** Numbers in ascending order without overlap, `*` standing for `largest`. */
export function resolveSequenceSet(text: string, largest: number): Range[] {
  const ranges = text.split(',').map((part) => resolveRange(part, largest));
  ranges.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [first, last] of ranges) {
    const open = merged.at(-1);
    if (open !== undefined && first <= open[1] + 1) open[1] = Math.max(open[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

export function includesNumber(ranges: readonly Range[], value: number): boolean {
  return ranges.some(([first, last]) => first <= value && value <= last);
}

/** Whether a word of a command is a set. */
export function isSequenceSet(text: string): boolean {
  return /^[\d*][\d*:,]*$/.test(text);
}

/** Ascending numbers as a set, runs as ranges: `1:3,5`. */
export function formatNumbers(numbers: Iterable<number>): string {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const open = ranges.at(-1);
    if (open !== undefined && open[1] + 1 === number) open[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}:${last}`)).join(',');
}

function resolveRange(part: string, largest: number): Range {
  const [from = '', to, ...extra] = part.split(':');
  if (extra.length > 0) throw new SyntaxFault('Invalid message set');
  const resolve = (value: number): number => (value === LAST ? largest : value);
  const first = resolve(parseNumber(from));
  const last = resolve(parseNumber(to ?? from));
  return first <= last ? [first, last] : [last, first];
}

function parseNumber(text: string): number {
  if (text === '*') return LAST;
  const value = Number(text);
  if (!/^[1-9]\d{0,9}$/.test(text) || value > LARGEST) throw new SyntaxFault('Invalid message set');
  return value;
}
