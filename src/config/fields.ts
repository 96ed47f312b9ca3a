/** The kinds of values that keys take: from what is written to what the program uses, or a fault that says what is allowed. Pure. */
import { z } from 'zod';
import { parseTemplate } from '../maildrop/unique-id.ts';
import { DURATION_PATTERN, parseDuration } from './duration.ts';
import { shown } from './fault-text.ts';
import { ADDRESS_PATTERN, isLoopbackHost, isNetwork, parseAddress, parseHost } from './network-address.ts';
import { parseScryptHash } from './scrypt-hash.ts';
import { parseSize, SIZE_PATTERN } from './size.ts';

const PLAIN_TEXT = /^[^\u0000-\u001f\u007f]*$/;
const PLACEHOLDER = '\\{(?:user|local|domain)\\}';
const LITERAL = `(?:[^{}\\u0000-\\u001f\\u007f]|${PLACEHOLDER})*`;
const USERNAME_TEMPLATE = new RegExp(`^${LITERAL}${PLACEHOLDER}${LITERAL}$`);
const SHA256_HEX = /^(?:(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2})?$/;
const STORE_URL = /^(?:sqlite:[^\u0000-\u001f\u007f]*|memory:)$/;
const VIEW_NAME = /^[^\s/\u0000-\u001f\u007f]{1,64}$/;
const AGE = new RegExp(`^$|${DURATION_PATTERN.source}`);
const CREDENTIAL_NAME = /^(?!\.)[^/\u0000-\u001f\u007f]{0,255}$/;
const DOMAIN = /^[^\s@/\u0000-\u001f\u007f]+$/;

/** Node's timers count milliseconds in 31 bits, 24.8 days; a longer one would fire at once. */
const LONGEST_TIMER = '24d';

/** A duration in milliseconds, both bounds included. */
export function duration(atLeast: string, atMost: string = LONGEST_TIMER) {
  const lowest = parseDuration(atLeast) ?? 0;
  const highest = parseDuration(atMost) ?? Number.MAX_SAFE_INTEGER;
  const pattern = matching(DURATION_PATTERN, 'is no duration; write a whole number and a unit (ms, s, m, h, d), such as "45s"');
  return pattern.transform((text, context) => {
    const milliseconds = parseDuration(text) ?? Number.POSITIVE_INFINITY;
    if (milliseconds < lowest) return refuse(context, `${shown(text)} is too short; at least "${atLeast}"`);
    if (milliseconds > highest) return refuse(context, `${shown(text)} is too long; at most "${atMost}"`);
    return milliseconds;
  });
}

/** A size in octets. */
export function size() {
  return parsed(SIZE_PATTERN, parseSize, 'is no size; write a whole number and a unit (B, kB, MB, GB, KiB, MiB, GiB), such as "64MiB"');
}

/** A count of at least one. */
export function count() {
  return z.int().min(1);
}

/** The address of a listener. */
export function listenAddress() {
  const problem = 'is no address to listen on; write host:port or [::1]:port, with 0.0.0.0 or [::] for every address';
  return parsed(ADDRESS_PATTERN, parseAddress, problem);
}

/** The name or address of a server, without port and scheme. */
export function serverHost() {
  const required = z.string({ error: (issue) => (issue.input === undefined ? 'missing; give the name of the IMAP server' : undefined) });
  return required.min(1, 'is empty; give the name of the IMAP server').transform((text, context) => {
    if (text.includes('://'))
      return refuse(context, `${shown(text)} is a URL; give the name alone, and security and port in keys of their own`);
    const host = parseHost(text);
    if (host !== undefined) return host;
    if (/^[^:]*:\d+$/.test(text)) return refuse(context, `${shown(text)} holds a port; give it in the key port`);
    return refuse(context, `${shown(text)} is no host; give a name or an IP address`);
  });
}

/** A TCP port to connect to. */
export function serverPort() {
  return z.int().min(1).max(65_535);
}

/** How a POP user name becomes the IMAP user name. */
export function usernameTemplate() {
  return matching(USERNAME_TEMPLATE, 'is no user name; it needs {user}, {local} or {domain} at least once, and no other braces');
}

/** A SHA-256 as 64 lower-case hex digits; '' where none is wanted. */
export function sha256() {
  const problem = 'is no SHA-256 fingerprint; give 64 hex digits, with colons or without';
  return matching(SHA256_HEX, problem).transform((text) => text.replaceAll(':', '').toLowerCase());
}

/** The name of a mail folder, or a pattern; INBOX in any case is written in capitals, as unique-ids are made from it. */
export function folderPattern() {
  const pattern = optionalText().min(1, 'is empty; give the name of a folder');
  return pattern.transform((name) => (name.toUpperCase() === 'INBOX' ? 'INBOX' : name));
}

/** The name of a view: what stands after the last "/" of a user name. */
export function viewName() {
  return matching(VIEW_NAME, 'is no name for a view; 1 to 64 characters without "/", spaces and control characters');
}

/** How old something may be, in milliseconds; 0 where '' says that age does not matter. */
export function age() {
  const problem = 'is no age; write a whole number and a unit (ms, s, m, h, d), such as "30d", or "" for any age';
  return parsed(AGE, (text) => (text === '' ? 0 : parseDuration(text)), problem);
}

/** How unique-ids are made: the name of a format, or a template. */
export function uniqueIdTemplate() {
  return z.string().transform((text, context) => {
    const template = parseTemplate(text);
    if (!('problem' in template)) return template;
    const allowed = 'must be "popbridge", "dovecot", "cyrus", "courier", "uw", "gmail", or a template such as "{uidvalidity}.{uid}"';
    return refuse(context, `${shown(text)} makes no unique-ids: ${template.problem}; ${allowed}`);
  });
}

/** Text on one line; '' where none is wanted. */
export function optionalText() {
  return matching(PLAIN_TEXT, 'holds control characters; none are allowed');
}

/** An address or a network in CIDR notation. */
export function network() {
  const problem = 'is no address or network; write an IP address, or a network such as "192.168.1.0/24" or "fd00::/8"';
  return z.string().refine(isNetwork, { error: (issue) => `${shown(issue.input)} ${problem}` });
}

/** A mail domain, in lower case. */
export function domain() {
  return matching(DOMAIN, 'is no domain; write the part after the @, such as "example.com"').transform((text) => text.toLowerCase());
}

/** The address of an OAuth 2.0 provider; '' where none is wanted. */
export function issuerUrl() {
  const problem = 'is no provider; write its URL, such as "https://login.example.com" (http:// is for loopback hosts only)';
  return z.string().refine((text) => text === '' || isSecureUrl(text), { error: (issue) => `${shown(issue.input)} ${problem}` });
}

function isSecureUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname.replace(/^\[|\]$/g, '')));
}

/** A program and its arguments; empty where none is wanted. */
export function commandLine() {
  const command = z.array(optionalText());
  return command.refine((parts) => parts.length === 0 || parts[0] !== '', { error: 'names no program; write ["PROGRAM", "ARGUMENT", …]' });
}

/** The name of a systemd credential: that of a file in one folder. */
export function credentialName() {
  return matching(CREDENTIAL_NAME, 'is no name of a credential; write it as LoadCredential= has it, without a path');
}

/** An app password as scrypt has it. The text is never shown back: it may be the password itself. */
export function passwordHash() {
  const problem = 'is no password hash; write what "popbridge account hash" prints, such as "$scrypt$ln=14,r=8,p=5$…$…"';
  return z.string().refine((text) => parseScryptHash(text) !== undefined, { error: problem });
}

/** Where the UID maps are kept. */
export function storeUrl() {
  return matching(STORE_URL, 'is no store; must be "sqlite:", "sqlite:PATH" or "memory:"');
}

function matching(pattern: RegExp, problem: string): z.ZodString {
  return z.string().regex(pattern, { error: (issue) => `${shown(issue.input)} ${problem}` });
}

function parsed<Value>(pattern: RegExp, parse: (text: string) => Value | undefined, problem: string) {
  return matching(pattern, problem).transform((text, context) => parse(text) ?? refuse(context, `${shown(text)} ${problem}`));
}

function refuse(context: z.core.$RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
