/**
 * Identities of the messages of one segment as octets (version 2): UIDs as differences, then for each identity its kind and 16 octets;
 * about 19 octets a message and identity. Pure.
 */
import { asUid, type Uid } from '../maildrop/numbers.ts';
import { IDENTITY_KINDS, type Identity } from '../maildrop/rematch.ts';
import { OctetReader, OctetWriter } from './variable-length.ts';

const VERSION = 2;
/** One identity a message, of either kind; none says that the message was looked at. */
const VERSION_BEFORE = 1;
const HASH_OCTETS = 16;
const NONE = 0;
const NOT_LOOKED_AT = 1;

/** Identity keys: a letter for the kind, and 16 octets in base64url. */
export function encodeIdentities(identities: ReadonlyMap<Uid, Identity>): Uint8Array {
  const out = new OctetWriter();
  out.number(VERSION);
  out.number(identities.size);
  let before = 0;
  for (const [uid, { given, messageId }] of [...identities].sort(([one], [other]) => one - other)) {
    out.number(uid - before);
    putKey(out, given);
    if (messageId === undefined) out.number(NOT_LOOKED_AT);
    else putKey(out, messageId);
    before = uid;
  }
  return out.octets();
}

/** None where the octets are no encoded identities: messages can't be recognised then, and nothing else is lost. */
export function decodeIdentities(octets: Uint8Array): Map<Uid, Identity> {
  try {
    return decoded(octets);
  } catch (error) {
    if (error instanceof RangeError) return new Map();
    throw error;
  }
}

/** A message whose Message-ID was looked for, whether it has one or not. */
export function isLookedAt({ messageId }: Identity): boolean {
  return messageId !== undefined;
}

function putKey(out: OctetWriter, key: string): void {
  out.number(key === '' ? NONE : key.charCodeAt(0));
  if (key !== '') out.base64url(key.slice(1));
}

function decoded(octets: Uint8Array): Map<Uid, Identity> {
  const reader = new OctetReader(octets);
  const version = reader.number();
  if (version !== VERSION && version !== VERSION_BEFORE) throw new RangeError('unknown version of identities');
  const identities = new Map<Uid, Identity>();
  let uid = 0;
  for (let left = reader.number(); left > 0; left -= 1) {
    uid += reader.number();
    const first = readKey(reader);
    identities.set(asUid(uid), version === VERSION ? { given: first ?? '', messageId: readKey(reader) } : asBefore(first ?? ''));
  }
  if (!reader.isAtEnd) throw new RangeError('identities are too long');
  return identities;
}

function readKey(reader: OctetReader): string | undefined {
  const kind = reader.number();
  if (kind === NONE) return '';
  return kind === NOT_LOOKED_AT ? undefined : String.fromCharCode(kind) + reader.octets(HASH_OCTETS).toString('base64url');
}

function asBefore(key: string): Identity {
  if (key === '') return { given: '', messageId: '' };
  return key.startsWith(IDENTITY_KINDS.messageId) ? { given: '', messageId: key } : { given: key, messageId: undefined };
}
