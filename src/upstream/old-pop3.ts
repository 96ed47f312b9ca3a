/**
 * Reads what an old POP3 server tells of its messages, so that a site can move here under the same unique-ids. Nothing is changed
 * there: no message is retrieved (some servers flag those) or deleted.
 */
import { CredentialsError } from '../errors.ts';
import { messageIdIn } from '../maildrop/message-id.ts';
import { OldPop3Connection, type OldPop3Endpoint } from './old-pop3-connection.ts';
import { commandRefusal, isServerTrouble, loginRefusal } from './old-pop3-failure.ts';
import { joinListings, type ListedMessage } from './old-pop3-listing.ts';
import type { UpstreamLogin } from './upstream.ts';

/** A message of an old server, by what it can be recognised elsewhere. */
export interface OldMessage {
  readonly uniqueId: string;
  /** As LIST tells it: a hint. */
  readonly octets: number;
  /** As `messageIdIn` gives it; undefined too where the server doesn't give the header. */
  readonly messageId: string | undefined;
}

export interface OldPop3Options {
  /** Called with 0 when the number of messages is known, then as headers come. */
  readonly onProgress: (done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** Commands sent before their answers are read, where the server has PIPELINING (RFC 2449 section 6.6). */
const TOPS_IN_FLIGHT = 100;

/**
 * Logs in with USER and PASS, reads UIDL, LIST and the header of every message by `TOP n 0`, and ends with QUIT. In the order of the
 * maildrop. A server without TOP, which refuses the first one and doesn't list it in CAPA, gives messages without Message-ID; a later
 * refusal costs that message alone its Message-ID, unless the server says that it is in trouble.
 *
 * Rejects with CredentialsError where user or password are refused or hold what POP3 cannot send, else with UpstreamError: `tls` for the
 * certificate, `timeout` after `timeoutMs` without an octet, `unreachable` for a lost connection and when the signal aborts,
 * `incomplete` where UIDL and LIST differ, `protocol` where answers are none.
 */
export async function readOldPop3(endpoint: OldPop3Endpoint, login: UpstreamLogin, options: OldPop3Options): Promise<OldMessage[]> {
  // They would end the line, and what follows would be a command of its own.
  if (/[\0\r\n]/.test(login.user + login.password)) {
    throw new CredentialsError('AUTH_REFUSED', 'the user name or the password holds NUL, CR or LF, which POP3 cannot send');
  }
  using connection = await OldPop3Connection.open(endpoint, options.signal);
  await acceptUtf8(connection);
  await logIn(connection, login);
  const capabilities = await readCapabilities(connection);
  const uidl = await readListing(connection, 'UIDL');
  const list = await readListing(connection, 'LIST');
  const messages = joinListings(uidl, list);
  options.onProgress(0, messages.length);
  const messageIds = await readMessageIds(connection, messages, capabilities, options);
  await quit(connection);
  return messages.map(({ number, uniqueId, octets }) => ({ uniqueId, octets, messageId: messageIds.get(number) }));
}

/**
 * RFC 6856 section 2.1: from a client that does not say UTF8, before the login, such a server may keep headers in UTF-8, and send a stand-in
 * with a header of its own. Courier does, for every header that is not ASCII.
 */
async function acceptUtf8(connection: OldPop3Connection): Promise<void> {
  const capabilities = await readCapabilities(connection);
  if (!capabilities.has('UTF8')) return;
  connection.send('UTF8');
  await connection.status('UTF8');
}

async function logIn(connection: OldPop3Connection, { user, password }: UpstreamLogin): Promise<void> {
  for (const command of [`USER ${user}`, `PASS ${password}`]) {
    connection.send(command);
    const status = await connection.status(command.slice(0, 'USER'.length));
    if (!status.isOk) throw loginRefusal(status, password);
  }
}

/** Names in capitals; none where the server knows no CAPA. */
async function readCapabilities(connection: OldPop3Connection): Promise<ReadonlySet<string>> {
  connection.send('CAPA');
  const status = await connection.status('CAPA');
  if (!status.isOk) return new Set();
  const lines = await connection.listing('CAPA');
  return new Set(lines.map((line) => line.replace(/ .*$/, '').toUpperCase()));
}

async function readListing(connection: OldPop3Connection, command: 'UIDL' | 'LIST'): Promise<readonly string[]> {
  connection.send(command);
  const status = await connection.status(command);
  if (!status.isOk) throw commandRefusal(command, status);
  return connection.listing(command);
}

/** By message-number; without those that have none. */
async function readMessageIds(
  connection: OldPop3Connection,
  messages: readonly ListedMessage[],
  capabilities: ReadonlySet<string>,
  { onProgress }: OldPop3Options,
): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  let hasTop = capabilities.has('TOP');
  for (let done = 0; done < messages.length;) {
    // Until one was answered nobody knows whether there is TOP.
    const batch = messages.slice(done, done + (hasTop && capabilities.has('PIPELINING') ? TOPS_IN_FLIGHT : 1));
    connection.send(...batch.map(({ number }) => `TOP ${number} 0`));
    for (const { number } of batch) {
      const header = await readHeader(connection, `TOP ${number} 0`);
      const messageId = header === undefined ? undefined : messageIdIn(header);
      if (messageId !== undefined) found.set(number, messageId);
      if (header === undefined && !hasTop) {
        onProgress(messages.length, messages.length);
        return found;
      }
    }
    hasTop = true;
    done += batch.length;
    onProgress(done, messages.length);
  }
  return found;
}

async function readHeader(connection: OldPop3Connection, command: string): Promise<Buffer | undefined> {
  const status = await connection.status(command);
  if (status.isOk) return connection.header(command);
  if (isServerTrouble(status)) throw commandRefusal(command, status);
  return undefined;
}

/** All is read by now and nothing was changed: however the server takes it, it takes nothing away. */
async function quit(connection: OldPop3Connection): Promise<void> {
  connection.send('QUIT');
  await connection.status('QUIT').catch(() => {});
}
