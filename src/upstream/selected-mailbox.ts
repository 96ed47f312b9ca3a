/** A mailbox as SELECT told of it. */
import { UpstreamError } from '../errors.ts';
import type { SelectAnswer } from '../imap/select-answer.ts';
import { outsideUidSpace } from '../imap/uid-space.ts';
import { isUidValidity, type UidValidity } from '../maildrop/numbers.ts';

export interface SelectedMailbox {
  readonly path: string;
  readonly uidValidity: UidValidity;
  /** 0 where the server told none. */
  readonly uidNext: number;
  /** How many messages it holds; undefined where the server told nothing. */
  readonly exists: number | undefined;
  readonly isReadOnly: boolean;
  /** HIGHESTMODSEQ (RFC 7162 section 3.1.2.1). It changes with the mailbox. Undefined if the server did not tell it. */
  readonly modSeq: string | undefined;
  /** The news of the connection when it was selected: with more of them it is no longer what it was. */
  readonly news: number;
}

/** What is believed of a server at most. */
export interface UpstreamLimits {
  /** Messages of one folder. */
  readonly messages: number;
}

/** Throws UpstreamError where no unique-ids could be made, or there are more messages than popbridge takes. */
export function selectedMailbox(
  path: string,
  { uidValidity: told, uidNext = 0, highestModSeq: modSeq }: SelectAnswer,
  isReadOnly: boolean,
  { exists, news }: Pick<SelectedMailbox, 'exists' | 'news'>,
  limits: UpstreamLimits,
): SelectedMailbox {
  if (told === undefined) throw new UpstreamError('protocol', `the server gives no UIDVALIDITY of ${path}`);
  const uidValidity = Number(told);
  if (!isUidValidity(uidValidity)) throw outsideUidSpace(`a UIDVALIDITY of ${path}`, told);
  if (exists !== undefined && exists > limits.messages) {
    throw new UpstreamError('unsupported', `the server claims ${exists} messages in ${path}; limits.messages allows ${limits.messages}`);
  }
  return { path, uidValidity, uidNext, exists, isReadOnly, modSeq, news };
}
