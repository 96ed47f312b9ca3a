/** Messages that went, as JSON: there are few, and they are read only when others come. Pure. */
import { IDENTITY_KINDS, type Identity } from '../maildrop/rematch.ts';
import { UNTOUCHED } from '../maildrop/uid-map.ts';
import type { GoneMessage } from './store.ts';

export function encodeGone(messages: readonly GoneMessage[]): string {
  return JSON.stringify(
    messages.map(({ formula, idUid, identity: { given, messageId = '' }, arrival, octets, trueOctets = -1, state }) => {
      const row = [formula, idUid, `${given} ${messageId}`.trim(), arrival, octets];
      return state === UNTOUCHED && trueOctets < 0 ? row : [...row, trueOctets, state.retrievedAt, state.deletedAt, state.dueAt];
    }),
  );
}

/** Leaves out what makes no sense: it can't be recognised then. */
export function decodeGone(text: string): GoneMessage[] {
  const rows = parsed(text);
  return Array.isArray(rows) ? rows.flatMap(decoded) : [];
}

function decoded(row: unknown): GoneMessage[] {
  if (!Array.isArray(row)) return [];
  const [formula, idUid, identity, arrival, octets, ...more] = row.map((value: unknown) => value);
  if (typeof formula !== 'string' || typeof idUid !== 'number' || typeof identity !== 'string') return [];
  if (typeof arrival !== 'number' || typeof octets !== 'number') return [];
  const [trueOctets = -1, retrievedAt = 0, deletedAt = 0, dueAt = 0] = more.filter((value) => typeof value === 'number');
  const state = more.length === 0 ? UNTOUCHED : { retrievedAt, deletedAt, dueAt };
  return [{ formula, idUid, identity: identityOf(identity), arrival, octets, trueOctets: trueOctets < 0 ? undefined : trueOctets, state }];
}

/** One key or two, told apart by their kinds. */
function identityOf(text: string): Identity {
  const keys = text.split(' ').filter((key) => key !== '');
  const isMessageId = (key: string): boolean => key.startsWith(IDENTITY_KINDS.messageId);
  return { given: keys.find((key) => !isMessageId(key)) ?? '', messageId: keys.find(isMessageId) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
