/**
 * Names of mailboxes on the wire: modified UTF-7 (RFC 3501 section 5.1.3), or whatever else a server uses. A name is only decoded where
 * encoding gives the same octets again; otherwise nobody could select the mailbox by its decoded name. Octets stand as latin1. Pure.
 */

const SHIFTED = /&([^-&]*)-/g;
const NOT_PRINTABLE = /[^\x20-\x7e]+/g;
const UTF16 = 'utf-16be';

/** The octets that a standard server has for a name. */
export function encodedName(name: string): string {
  return name.replaceAll('&', '&-').replace(NOT_PRINTABLE, (run) => `&${base64Of(run)}-`);
}

/** The name for people; the octets themselves, read as UTF-8 where they are that, when they are no proper modified UTF-7. */
export function decodedName(octets: string): string {
  const name = octets.replace(SHIFTED, (_, base64: string) => (base64 === '' ? '&' : textOf(base64)));
  return encodedName(name) === octets ? name : asUtf8(octets);
}

/** A name as a string of the protocol (RFC 3501 section 9, astring). Undefined where it holds what no string between quotes may hold. */
export function quotedName(octets: string): string | undefined {
  if (/^[^\x00-\x20(){%*"\\\x7f-\xff]+$/.test(octets) && octets.toUpperCase() !== 'NIL') return octets;
  return /[\0\r\n]/.test(octets) ? undefined : `"${octets.replace(/["\\]/g, '\\$&')}"`;
}

function base64Of(run: string): string {
  const octets = Buffer.from(run, 'utf16le').swap16();
  return octets.toString('base64').replace(/=+$/, '').replaceAll('/', ',');
}

function textOf(base64: string): string {
  const octets = Buffer.from(base64.replaceAll(',', '/'), 'base64');
  return octets.length % 2 === 0 ? new TextDecoder(UTF16, { ignoreBOM: true }).decode(octets) : '\ufffd';
}

function asUtf8(octets: string): string {
  const text = Buffer.from(octets, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? octets : text;
}
