/**
 * Identities of the messages of one segment as octets: UIDs as differences, then the kind and 16 octets; about 19 octets a message.
 * An empty identity says that the message was looked at and has none. Pure.
 */
import { asUid, type Uid } from '../maildrop/numbers.ts';
import { OctetReader, put } from './variable-length.ts';

const VERSION = 1;
const HASH_OCTETS = 16;
const NONE = 0;

/** Identity keys: a letter for the kind, and 16 octets in base64url. */
export function encodeIdentities(identities: ReadonlyMap<Uid, string>): Uint8Array {
  const out: number[] = [VERSION];
  put(out, identities.size);
  let before = 0;
  for (const [uid, identity] of [...identities].sort(([one], [other]) => one - other)) {
    put(out, uid - before);
    put(out, identity === '' ? NONE : identity.charCodeAt(0));
    if (identity !== '') out.push(...Buffer.from(identity.slice(1), 'base64url'));
    before = uid;
  }
  return Uint8Array.from(out);
}

/** None where the octets are no encoded identities: messages can't be recognised then, and nothing else is lost. */
export function decodeIdentities(octets: Uint8Array): Map<Uid, string> {
  try {
    return decoded(octets);
  } catch (error) {
    if (error instanceof RangeError) return new Map();
    throw error;
  }
}

function decoded(octets: Uint8Array): Map<Uid, string> {
  const reader = new OctetReader(octets);
  if (reader.number() !== VERSION) throw new RangeError('unknown version of identities');
  const identities = new Map<Uid, string>();
  let uid = 0;
  for (let left = reader.number(); left > 0; left -= 1) {
    uid += reader.number();
    const kind = reader.number();
    identities.set(asUid(uid), kind === NONE ? '' : String.fromCharCode(kind) + reader.octets(HASH_OCTETS).toString('base64url'));
  }
  if (!reader.isAtEnd) throw new RangeError('identities are too long');
  return identities;
}
