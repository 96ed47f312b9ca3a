/** What a client is likely to ask for next. Pure. */
import type { Maildrop, MaildropEntry } from '../maildrop/maildrop.ts';
import type { UpcomingMessage } from '../upstream/upstream.ts';

/** What is known of a message of the maildrop. */
export interface MessageFacts {
  readonly isRetrieved: boolean;
  /** RFC822.SIZE. */
  readonly declaredOctets: number;
}

/**
 * The messages after that one in its mailbox. A client that fetches what it has not fetched yet skips all others; one that fetches
 * something again takes them in order.
 */
export function* upcoming(
  maildrop: Maildrop,
  { number, mailbox }: MaildropEntry,
  onlyNew: boolean,
  factsOf: (entry: MaildropEntry) => MessageFacts,
): Generator<UpcomingMessage, void, void> {
  const { count } = maildrop.dropListing;
  for (let next = number + 1; next <= count; next += 1) {
    const entry = maildrop.lookup(next);
    if (entry?.mailbox !== mailbox) return;
    const { isRetrieved, declaredOctets } = factsOf(entry);
    if (!onlyNew || !isRetrieved) yield { uid: entry.uid, octets: declaredOctets };
  }
}
