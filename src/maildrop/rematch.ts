/**
 * Finds messages again after their UIDs became worthless: UIDVALIDITY changed, the mailbox was made anew or moved to another
 * server, or a message was moved away and back. One to one; what can't be told apart for certain is not matched.
 */

import { atOnce, filtered, stepwise, type Steps } from './steps.ts';

/** By what a message is recognised, as keys whose first character is their kind; see IDENTITY_KINDS. */
export interface Identity {
  /** What the server calls the content (EMAILID of RFC 8474, X-GM-MSGID); '' where it says nothing. */
  readonly given: string;
  /** Of the Message-ID that the sender chose, or what stands in for it; '' where there is nothing, undefined where nobody looked. */
  readonly messageId: string | undefined;
}

/** A message as it can be recognised. */
export interface Recognisable {
  readonly identity: Identity;
  /** INTERNALDATE, seconds since 1970. */
  readonly arrival: number;
  /** RFC822.SIZE. */
  readonly octets: number;
}

export interface Rematch<Old, Fresh> {
  readonly matches: ReadonlyMap<Fresh, Old>;
  /** New ones that resemble several, or are resembled by several. */
  readonly ambiguous: readonly Fresh[];
}

export const IDENTITY_KINDS = { emailId: 'e', gmailId: 'g', messageId: 'm' } as const;

export const UNIDENTIFIED: Identity = { given: '', messageId: undefined };

/**
 * Matches step by step, from what is certain to what is certain enough where it is unique on both sides. Copies of which nothing
 * differs are matched in order: which is which makes no difference. `isWholeMailbox`: all messages of a mailbox stand on both sides, so that
 * a message without an identity, or on a server that keeps no dates, can be found by what is left.
 */
export function rematch<Old extends Recognisable, Fresh extends Recognisable>(
  old: readonly Old[],
  fresh: readonly Fresh[],
  isWholeMailbox: boolean,
): Rematch<Old, Fresh> {
  return atOnce(rematchSteps(old, fresh, isWholeMailbox));
}

/** The same in steps. */
export function* rematchSteps<Old extends Recognisable, Fresh extends Recognisable>(
  old: readonly Old[],
  fresh: readonly Fresh[],
  isWholeMailbox: boolean,
): Steps<Rematch<Old, Fresh>> {
  const matching = new Matching(old, fresh);
  yield* matching.pair(({ identity: { given }, arrival, octets }) => given && `${given} ${arrival} ${octets}`, 'in order');
  yield* matching.pair(({ identity: { given } }) => given, 'in order');
  yield* matching.pair(({ identity: { messageId }, arrival, octets }) => messageId && `${messageId} ${arrival} ${octets}`, 'in order');
  yield* matching.pair(({ identity: { messageId }, arrival }) => messageId && `${messageId} ${arrival}`, 'if unique');
  if (isWholeMailbox) {
    yield* matching.pair(({ identity: { messageId }, octets }) => messageId && `${messageId} ${octets}`, 'if unique');
    yield* matching.pair(({ identity: { messageId } }) => messageId, 'if unique');
    yield* matching.pair(({ arrival, octets }) => `${arrival} ${octets}`, 'if unique');
  }
  return { matches: matching.matches, ambiguous: yield* matching.ambiguous(isWholeMailbox) };
}

/** True when both have an identity of the same kind, and it is another one. */
export function differ(one: Identity, other: Identity): boolean {
  const isSameKind = one.given !== '' && other.given !== '' && one.given.charAt(0) === other.given.charAt(0);
  if (isSameKind) return one.given !== other.given;
  return Boolean(one.messageId) && Boolean(other.messageId) && one.messageId !== other.messageId;
}

class Matching<Old extends Recognisable, Fresh extends Recognisable> {
  readonly matches = new Map<Fresh, Old>();
  #old: readonly Old[];
  #fresh: readonly Fresh[];

  constructor(old: readonly Old[], fresh: readonly Fresh[]) {
    this.#old = old;
    this.#fresh = fresh;
  }

  *pair(keyOf: (message: Recognisable) => string | undefined, how: 'in order' | 'if unique'): Steps<void> {
    if (this.#fresh.length === 0) return;
    const wanted = yield* grouped(this.#fresh, keyOf);
    // Old ones may be very many, and hardly any of them come back.
    const candidates = yield* grouped(this.#old, (message) => {
      const key = keyOf(message);
      return key !== undefined && wanted.has(key) ? key : undefined;
    });
    const taken = new Set<Old>();
    yield* stepwise(wanted, ([key, fresh]) => {
      const old = candidates.get(key) ?? [];
      if (how === 'if unique' && (old.length > 1 || fresh.length > 1)) return;
      fresh.forEach((message, index) => {
        const match = old[index];
        if (match === undefined || differ(match.identity, message.identity)) return;
        this.matches.set(message, match);
        taken.add(match);
      });
    });
    if (taken.size === 0) return;
    this.#old = yield* filtered(this.#old, (message) => !taken.has(message));
    this.#fresh = yield* filtered(this.#fresh, (message) => !this.matches.has(message));
  }

  *ambiguous(isWholeMailbox: boolean): Steps<Fresh[]> {
    const keysOf = ({ identity: { given, messageId = '' }, arrival, octets }: Recognisable): string[] =>
      [given, messageId, isWholeMailbox ? `${arrival} ${octets}` : ''].filter((key) => key !== '');
    if (this.#fresh.length === 0) return [];
    const left = new Set<string>();
    yield* stepwise(this.#old, (message) => keysOf(message).forEach((key) => left.add(key)));
    return yield* filtered(this.#fresh, (message) => keysOf(message).some((key) => left.has(key)));
  }
}

function* grouped<Message extends Recognisable>(
  messages: readonly Message[],
  keyOf: (message: Recognisable) => string | undefined,
): Steps<Map<string, Message[]>> {
  const groups = new Map<string, Message[]>();
  yield* stepwise(messages, (message) => {
    const key = keyOf(message);
    if (key === undefined || key === '') return;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [message]);
    else group.push(message);
  });
  return groups;
}
