/** From what `popbridge maildrop import --from` names to the unique-ids that clients know. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { KnownIds } from '../maildrop/client-file-lines.ts';
import { parseClientFile, type ClientFileFormat } from '../maildrop/client-files.ts';
import { oldmailName } from '../maildrop/oldmail-name.ts';
import { IDENTITY_KINDS, UNIDENTIFIED, type Identity } from '../maildrop/rematch.ts';
import type { Progress } from '../daemon/control-socket.ts';
import type { ImportedId } from '../daemon/maildrop-import.ts';
import { identityKey, messageIdKey } from '../daemon/recognise.ts';
import { ConfigError } from '../errors.ts';
import type { OldPop3Endpoint } from '../upstream/old-pop3-connection.ts';
import { readOldPop3 } from '../upstream/old-pop3.ts';
import { trustingContext } from '../upstream/gated-transport.ts';
import { UsageError } from './exit-code.ts';
import { parseExport } from './parse-export.ts';

export type ImportSource =
  { readonly kind: 'ids'; readonly ids: readonly ImportedId[] } | { readonly kind: 'server'; readonly endpoint: OldPop3Endpoint };

export interface SourceRequest {
  /** A path, or a URL of an old POP3 server. */
  readonly from: string;
  readonly format: string | undefined;
  /** Of a file with several accounts, which. */
  readonly server: string | undefined;
  readonly user: string | undefined;
  readonly caFile: string | undefined;
}

const FORMATS: readonly ClientFileFormat[] = ['popstate', 'fetchids', 'oldmail', 'mpop'];
const TIMEOUT_MS = 60_000;

/** Schemes, with the default port of each (RFC 8314 section 3.3, RFC 1939). */
const SCHEMES: Readonly<Record<string, readonly [OldPop3Endpoint['security'], number]>> = {
  'pop3s:': ['tls', 995],
  'pop3:': ['starttls', 110],
  'pop3+insecure:': ['none', 110],
};

/** Reads files at once, before the process becomes another user. Throws UsageError, or ConfigError for what a file holds. */
export function importSource(request: SourceRequest): ImportSource {
  if (request.from.includes('://')) return { kind: 'server', endpoint: endpointOf(request) };
  const octets = readFileSync(request.from);
  if (request.format === 'export' || (request.format === undefined && octets.toString('latin1', 0, 12) === '{"popbridge"')) {
    const ids = parseExport(octets.toString('utf8'));
    if ('problem' in ids) throw faulty(request.from, ids.problem);
    return { kind: 'ids', ids: ids.ids };
  }
  const file = parseClientFile(
    octets,
    FORMATS.find((format) => format === request.format),
  );
  if ('problem' in file) throw faulty(request.from, file.problem);
  // getmail says in the name of the file whose it is.
  const named = oldmailName(basename(request.from));
  const accounts = file.accounts.map(({ server = named?.server, user = named?.user, uniqueIds }) => ({ server, user, uniqueIds }));
  return { kind: 'ids', ids: account(accounts, request).uniqueIds.map(bareId) };
}

/** Asks the old server, where it is one. */
export async function readKnownIds(
  source: ImportSource,
  login: { readonly user: string; readonly password: string },
  progress: Progress,
): Promise<readonly ImportedId[]> {
  if (source.kind === 'ids') return source.ids;
  const messages = await readOldPop3(source.endpoint, login, {
    onProgress: (done, total) => progress(done, total, 'reading headers of the old server'),
    signal: new AbortController().signal,
  });
  return messages.map(({ uniqueId, octets, messageId }) => {
    const { given } = identityIn(uniqueId);
    const identity = { given, messageId: messageId === undefined ? undefined : messageIdKey(messageId) };
    return Object.assign(bareId(uniqueId), { octets, identity, isMeasured: true });
  });
}

function bareId(uniqueId: string): ImportedId {
  return { uniqueId, identity: identityIn(uniqueId), arrival: 0, octets: 0, isMeasured: false, place: undefined, state: undefined };
}

/** Gmail's unique-ids are what its IMAP server calls the messages. */
function identityIn(uniqueId: string): Identity {
  const [, digits] = /^GmailId([0-9a-f]{1,16})$/.exec(uniqueId) ?? [];
  return digits === undefined
    ? UNIDENTIFIED
    : { ...UNIDENTIFIED, given: identityKey(IDENTITY_KINDS.gmailId + BigInt(`0x${digits}`).toString()) };
}

/** The one account of a file, or the one that was named. */
function account(accounts: readonly KnownIds[], { from, server, user }: SourceRequest): KnownIds {
  const fitting = accounts.filter((one) => isAsked(one.server, server) && isAsked(one.user, user));
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  const names = accounts.map((one) => `${one.user ?? ''} at ${one.server ?? ''}`).join('; ');
  if (accounts.length === 0) throw faulty(from, 'holds no unique-ids');
  throw new UsageError(`${from} holds ${accounts.length} accounts (${names}); choose with --from-server and --from-user`);
}

function isAsked(value: string | undefined, asked: string | undefined): boolean {
  return asked === undefined || value === undefined || value.toLowerCase() === asked.toLowerCase();
}

function endpointOf({ from, caFile }: SourceRequest): OldPop3Endpoint {
  const url = URL.parse(from);
  const [security, port] = SCHEMES[url?.protocol ?? ''] ?? [];
  if (url === null || security === undefined || port === undefined || url.hostname === '') {
    throw new UsageError(`${from} is no POP3 server; write pop3s://HOST[:PORT], pop3://HOST[:PORT] (STLS) or pop3+insecure://HOST[:PORT]`);
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (security === 'none' && !/^(?:localhost|127\..*|::1)$/.test(host)) {
    throw new UsageError(`${from} would send the password in clear; pop3+insecure:// is for loopback only`);
  }
  return {
    host,
    port: url.port === '' ? port : Number(url.port),
    security,
    ...(caFile === undefined ? {} : { secureContext: trustingContext(readFileSync(caFile, 'utf8')) }),
    timeoutMs: TIMEOUT_MS,
  };
}

function faulty(file: string, problem: string): ConfigError {
  return new ConfigError([{ file, key: '', problem }]);
}
