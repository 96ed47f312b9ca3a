/** Memory and descriptors of a running process, as Linux counts them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Octets of a process's memory that are resident: now, or when they were most. */
export function residentOctets(pid: number, when: 'now' | 'most' = 'now'): number {
  const field = when === 'now' ? 'VmRSS' : 'VmHWM';
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** How many files, pipes and sockets it has open. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
