/** Replies as values, and their octets (RFC 1939 section 3, RFC 2449 sections 4 and 8). */
import { MAX_STATUS_OCTETS } from './limits.ts';

/** Response codes popbridge uses (RFC 2449 section 8.1, RFC 3206). */
export type ResponseCode = 'AUTH' | 'IN-USE' | 'LOGIN-DELAY' | 'SYS/TEMP' | 'SYS/PERM';

/** One reply. `lines`, when present, makes it a multi-line reply: whole lines, in pieces, each ended by CRLF, none starting with a dot. */
export interface Reply {
  readonly ok: boolean;
  readonly code?: ResponseCode;
  readonly text: string;
  readonly lines?: Iterable<string | Uint8Array>;
}

export const CRLF = '\r\n';

/** The line that ends a multi-line reply. */
export const TERMINATOR = '.\r\n';

/** A positive reply of one line. */
export function ok(text = ''): Reply {
  return { ok: true, text };
}

/** A negative reply; `code` tells a client whose fault it is (RFC 3206). */
export function err(text: string, code?: ResponseCode): Reply {
  return code === undefined ? { ok: false, text } : { ok: false, code, text };
}

/** A positive multi-line reply. */
export function okLines(text: string, lines: Iterable<string | Uint8Array>): Reply {
  return { ok: true, text, lines };
}

/**
 * The status line with its CRLF: at most 512 octets, printable ASCII only. A text that would begin with "[" is moved away
 * from the status, so that it is never read as a response code (RFC 2449 section 8).
 */
export function encodeStatus(reply: Reply): string {
  const code = reply.code === undefined ? '' : `[${reply.code}] `;
  const text = reply.text.replace(/[^\x20-\x7e]+/g, ' ').trim();
  const guarded = code === '' && text.startsWith('[') ? `: ${text}` : text;
  const line = `${reply.ok ? '+OK' : '-ERR'} ${code}${guarded}`.trimEnd();
  return line.slice(0, MAX_STATUS_OCTETS - CRLF.length) + CRLF;
}
