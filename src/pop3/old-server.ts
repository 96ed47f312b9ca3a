/** What an old POP3 server answers, taken apart (RFC 1939): for whoever moves away from it. Pure. */

/** `+OK …`, or `-ERR …` with its response code (RFC 2449). */
export type OldStatus = { readonly ok: true } | { readonly ok: false; readonly code: string | undefined };

export function parseStatus(line: string): OldStatus | undefined {
  if (/^\+OK(?: |$)/.test(line)) return { ok: true };
  const refusal = /^-ERR(?: \[([A-Za-z/-]+)\])?/.exec(line);
  return refusal === null ? undefined : { ok: false, code: refusal[1]?.toUpperCase() };
}

/** `number rest` of a line of UIDL or LIST; undefined where it is none. */
export function parseListing(line: string): { readonly number: number; readonly rest: string } | undefined {
  const row = /^(\d{1,10}) +([\x21-\x7e]+)(?: .*)?$/.exec(line);
  return row === null ? undefined : { number: Number(row[1]), rest: row[2] ?? '' };
}

/** Without the dot that was put before a line that began with one. */
export function unstuffed(line: string): string {
  return line.startsWith('.') ? line.slice(1) : line;
}
