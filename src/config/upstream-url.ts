/** `--upstream URL`: an upstream without a file. Pure. */

/** The [upstream] table that a URL stands for. */
export interface UpstreamTable {
  readonly host: string;
  readonly security: 'tls' | 'starttls' | 'none';
  readonly port?: number;
}

/** A URL is never shown back: it may hold a password. */
export interface UrlProblem {
  readonly problem: string;
}

const SECURITY_OF: Readonly<Record<string, UpstreamTable['security']>> = { 'imaps:': 'tls', 'imap:': 'starttls', 'imap+insecure:': 'none' };
const ALLOWED = 'write imaps://HOST[:PORT], imap://HOST[:PORT] (STARTTLS) or imap+insecure://HOST[:PORT] (loopback only)';

/** Scheme, host and port, or what is wrong with the text. */
export function parseUpstreamUrl(text: string): UpstreamTable | UrlProblem {
  const url = URL.parse(text);
  if (url === null) return { problem: `is no URL; ${ALLOWED}` };
  const security = SECURITY_OF[url.protocol];
  if (security === undefined) return { problem: `has the unknown scheme ${JSON.stringify(url.protocol.slice(0, -1))}; ${ALLOWED}` };
  if (url.username !== '' || url.password !== '')
    return { problem: 'holds a user name or a password; leave them out, the POP3 client gives both' };
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    return { problem: `holds more than host and port; ${ALLOWED}` };
  }
  if (url.hostname === '') return { problem: `names no host; ${ALLOWED}` };
  return { host: url.hostname, security, ...(url.port === '' ? {} : { port: Number(url.port) }) };
}
