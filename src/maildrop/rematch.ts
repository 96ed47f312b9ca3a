/**
 * Finds messages again after their UIDs became worthless: UIDVALIDITY changed, the mailbox was made anew or moved to another
 * server, or a message was moved away and back. One to one; what can't be told apart for certain is not matched.
 */

/** A message as it can be recognised. `identity` starts with its kind: see `isStrong`. */
export interface Recognisable {
  readonly identity: string | undefined;
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

/** Kinds of identities: given by the server for the content (EMAILID, RFC 8474; X-GM-MSGID), or a Message-ID that the sender chose. */
export const IDENTITY_KINDS = { emailId: 'e', gmailId: 'g', messageId: 'm' } as const;

/** True for an identity that stands for the content: copies that share it are the same message. */
function isStrong(identity: string): boolean {
  return !identity.startsWith(IDENTITY_KINDS.messageId);
}

/**
 * Matches in three steps: same identity, arrival and size; same identity given by the server; same Message-ID and arrival where
 * that is unique on both sides. Copies of which nothing differs are matched in order: which is which makes no difference.
 */
export function rematch<Old extends Recognisable, Fresh extends Recognisable>(
  old: readonly Old[],
  fresh: readonly Fresh[],
): Rematch<Old, Fresh> {
  const matching = new Matching(old, fresh);
  matching.pair(({ identity, arrival, octets }) => identity && `${identity} ${arrival} ${octets}`, 'in order');
  matching.pair(({ identity }) => (identity !== undefined && isStrong(identity) ? identity : undefined), 'in order');
  matching.pair(({ identity, arrival }) => identity && `${identity} ${arrival}`, 'if unique');
  return { matches: matching.matches, ambiguous: matching.ambiguous() };
}

class Matching<Old extends Recognisable, Fresh extends Recognisable> {
  readonly matches = new Map<Fresh, Old>();
  #old: readonly Old[];
  #fresh: readonly Fresh[];

  constructor(old: readonly Old[], fresh: readonly Fresh[]) {
    this.#old = old;
    this.#fresh = fresh;
  }

  pair(keyOf: (message: Recognisable) => string | undefined, how: 'in order' | 'if unique'): void {
    const candidates = grouped(this.#old, keyOf);
    const taken = new Set<Old>();
    for (const [key, fresh] of grouped(this.#fresh, keyOf)) {
      const old = candidates.get(key) ?? [];
      if (how === 'if unique' && (old.length > 1 || fresh.length > 1)) continue;
      fresh.forEach((message, index) => {
        const match = old[index];
        if (match === undefined) return;
        this.matches.set(message, match);
        taken.add(match);
      });
    }
    this.#old = this.#old.filter((message) => !taken.has(message));
    this.#fresh = this.#fresh.filter((message) => !this.matches.has(message));
  }

  ambiguous(): Fresh[] {
    const left = new Set(this.#old.map(({ identity }) => identity));
    return this.#fresh.filter(({ identity }) => identity !== undefined && left.has(identity));
  }
}

function grouped<Message extends Recognisable>(
  messages: readonly Message[],
  keyOf: (message: Recognisable) => string | undefined,
): Map<string, Message[]> {
  const groups = new Map<string, Message[]>();
  for (const message of messages) {
    const key = keyOf(message);
    if (key === undefined) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [message]);
    else group.push(message);
  }
  return groups;
}
