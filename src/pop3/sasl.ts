/**
 * The SASL mechanisms PLAIN (RFC 4616) and LOGIN (as Outlook speaks it) of AUTH (RFC 5034), as pure steps: what the client
 * sent in, the next challenge or the credentials out.
 */
import { credentialProblem, decodeText, unblanked } from './command.ts';

/** A user name and password that a client gave. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export const MECHANISMS = ['PLAIN', 'LOGIN'] as const;
export type Mechanism = (typeof MECHANISMS)[number];

/** An exchange that waits for the client's next line. */
export interface SaslExchange {
  readonly mechanism: Mechanism;
  readonly user?: string;
}

export type SaslStep =
  | { readonly next: 'challenge'; readonly challenge: string; readonly exchange: SaslExchange }
  | { readonly next: 'credentials'; readonly credentials: Credentials }
  | { readonly next: 'fail'; readonly problem: string };

export function isMechanism(name: string): name is Mechanism {
  return name === 'PLAIN' || name === 'LOGIN';
}

/** Starts an exchange; `initialResponse` is base64, or "=" for an empty one (RFC 5034 section 4). */
export function startExchange(mechanism: Mechanism, initialResponse: string | undefined): SaslStep {
  const exchange: SaslExchange = { mechanism };
  if (initialResponse === undefined) return challenge(exchange);
  return advance(exchange, initialResponse === '=' ? '' : initialResponse);
}

/** The client's answer to a challenge, a line of base64, or "*" to cancel. */
export function continueExchange(exchange: SaslExchange, line: Uint8Array): SaslStep {
  const text = unblanked(Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1'));
  if (text === '*') return { next: 'fail', problem: 'authentication cancelled' };
  return advance(exchange, text);
}

function challenge(exchange: SaslExchange): SaslStep {
  const prompt = exchange.mechanism === 'PLAIN' ? '' : exchange.user === undefined ? 'Username:' : 'Password:';
  return { next: 'challenge', challenge: Buffer.from(prompt).toString('base64'), exchange };
}

function advance(exchange: SaslExchange, base64: string): SaslStep {
  const octets = decodeBase64(base64);
  if (octets === undefined) return { next: 'fail', problem: 'bad base64' };
  return exchange.mechanism === 'PLAIN' ? plain(octets) : login(exchange, octets);
}

/** RFC 4616: authzid NUL authcid NUL passwd. An authorization identity other than the user's own is refused. */
function plain(octets: Buffer): SaslStep {
  const first = octets.indexOf(0);
  const second = first < 0 ? -1 : octets.indexOf(0, first + 1);
  if (second < 0 || octets.indexOf(0, second + 1) >= 0) return { next: 'fail', problem: 'malformed PLAIN response' };
  const authorization = decodeText(octets.subarray(0, first));
  const user = decodeText(octets.subarray(first + 1, second));
  if (authorization !== '' && authorization !== user) return { next: 'fail', problem: 'acting for another user is not offered' };
  return checked({ user, password: decodeText(octets.subarray(second + 1)) });
}

function login(exchange: SaslExchange, octets: Buffer): SaslStep {
  const text = decodeText(octets);
  if (exchange.user !== undefined) return checked({ user: exchange.user, password: text });
  const problem = credentialProblem('user name', text);
  return problem === undefined ? challenge({ mechanism: 'LOGIN', user: text }) : { next: 'fail', problem };
}

function checked(credentials: Credentials): SaslStep {
  const problem = credentialProblem('user name', credentials.user) ?? credentialProblem('password', credentials.password);
  return problem === undefined ? { next: 'credentials', credentials } : { next: 'fail', problem };
}

/** RFC 4648 section 4, also without the padding at its end: some clients leave it out, and it says nothing that the length does not. */
function decodeBase64(text: string): Buffer | undefined {
  const [, data, padding] = /^([A-Za-z0-9+/]*)(={0,2})$/.exec(text) ?? [];
  if (data === undefined || padding === undefined) return undefined;
  const missing = -data.length & 3;
  return missing === 3 || padding.length > missing ? undefined : Buffer.from(data, 'base64');
}
