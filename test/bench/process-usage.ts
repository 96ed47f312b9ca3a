/** What the processes of a bridge use, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** The kernel counts time in these (USER_HZ), on every machine Linux runs on today. */
const TICK_MS = 10;

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Its own time and that of the children it has waited for. */
  readonly ticks: number;
}

/** Milliseconds of processor time that a process and its descendants, ended ones included, have used. */
export function cpuMs(root: number): number {
  return family(root).reduce((sum, { ticks }) => sum + ticks * TICK_MS, 0);
}

/** Memory of a process and its descendants in KiB; pages shared by n processes count for one nth in each. */
export function pssKib(root: number): number {
  return family(root).reduce((sum, { pid }) => sum + pssOf(pid), 0);
}

/** Reads one line of /proc/PID/stat (proc(5)): the name in parentheses may hold anything. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const times = fields.slice(11, 15).map(Number);
  return { pid: Number.parseInt(text, 10), parent: Number(fields[1]), ticks: times.reduce((sum, time) => sum + time, 0) };
}

function family(root: number): readonly ProcessStat[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? statOf(name) : []));
  const members = all.filter(({ pid }) => pid === root);
  for (let at = 0; at < members.length; at += 1) members.push(...all.filter(({ parent }) => parent === members[at]?.pid));
  return members;
}

function statOf(pid: string): readonly ProcessStat[] {
  const text = readOr(`/proc/${pid}/stat`);
  return text === '' ? [] : [parseStat(text)];
}

function pssOf(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readOr(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

/** Processes end while one looks at them. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
