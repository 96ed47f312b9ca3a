/** Whether a message that is to be removed is still the one that was listed (CONTRACT section 5.1). Pure. */
import { differ, type Identity, type Recognisable } from './rematch.ts';

/** What the map knows of it. */
export interface Recorded {
  /** RFC822.SIZE at the listing; 0 where the server never told. */
  readonly declaredOctets: number;
  readonly trueOctets: number | undefined;
  /** INTERNALDATE, seconds since 1970; 0 where the server never told. */
  readonly arrival: number;
  /** The Message-ID is '' where its header held nothing that tells. */
  readonly identity: Identity;
}

/** What the server says of the message with that UID now. */
export interface Found {
  /** 0 where it leaves that out, as in Recorded. */
  readonly octets: number;
  readonly arrival: number;
  /** The Message-ID is undefined where the server gave no header, and '' where that header held nothing that tells. */
  readonly identity: Identity;
}

/** `unsure`: it is left alone, and stays known as what it was. */
export type Verdict = 'same' | 'other' | 'unsure';

/** What the server answered first and last, twice the same where it answered but once. */
export type Answers = readonly [Found, Found];

/** How one value of a message compares: `silent` where it was never told, `missing` where it is no longer told, `wanders` where it differs each time. */
type Sign = 'agrees' | 'differs' | 'silent' | 'missing' | 'wanders';

/**
 * An identity decides where it is known on both sides; else all that was recorded must agree. A server may measure more exactly once it
 * has sent a message, so the size that was then counted will do. What could not be compared does not count as compared: false then says
 * that the server has to be asked again, and `verdictOn` decides.
 */
export function isSameMessage(recorded: Recorded, found: Found): boolean {
  if (differ(recorded.identity, found.identity)) return false;
  if (isKnownToBeTheSame(recorded.identity, found.identity)) return true;
  if (hasLostItsHeader(recorded, found)) return false;
  return allAgree([dateSign(recorded, found), sizeSign(recorded, found)]);
}

/**
 * True where the beginning of the message itself has to be read: a Message-ID is known and the server gave no header, or one that reads
 * otherwise than it did, though the date does not speak against the message.
 */
export function isDoubtfulByHeader(recorded: Recorded, answers: Answers): boolean {
  const last = answers[1];
  if (isContradicted(recorded, answers)) return false;
  return hasLostItsHeader(recorded, last) || (hasAnotherMessageId(recorded, last) && steadySign(recorded, answers, 'date') !== 'differs');
}

/**
 * On a message of which one answer was not enough for isSameMessage. A date or a size that is another one each time means nothing. A
 * changed size alone never makes it another message (GNU imap4d writes fields into a message that was read), unless the server told the
 * size in this very session (`isListedNow`). A changed date does, except for a message without any of the fields that tell messages apart:
 * hardly ever are there two such messages of one size.
 */
export function verdictOn(recorded: Recorded, answers: Answers, isListedNow: boolean): Verdict {
  const last = answers[1];
  if (isContradicted(recorded, answers)) return 'other';
  if (answers.some((found) => isSameMessage(recorded, found))) return 'same';
  if (hasAnotherMessageId(recorded, last)) return 'other';
  if (hasLostItsHeader(recorded, last)) return 'unsure';
  const [date, size] = [steadySign(recorded, answers, 'date'), steadySign(recorded, answers, 'size')];
  const isNameless = last.identity.messageId === '' && !recorded.identity.messageId;
  if (date === 'differs') return size === 'agrees' && isNameless ? 'same' : 'other';
  const hasGotAHeader = recorded.identity.messageId === '' && Boolean(last.identity.messageId);
  if (size === 'differs') {
    if (date === 'agrees' && isNameless) return 'same';
    return isListedNow || hasGotAHeader ? 'other' : 'unsure';
  }
  if (date === 'missing' || size === 'missing' || hasGotAHeader || Boolean(recorded.identity.messageId)) return 'unsure';
  // Where all that was told wanders the UID is left, which the server has promised to keep.
  return date === 'silent' && size === 'silent' ? 'unsure' : 'same';
}

/**
 * Whether a message that is listed anew, under the UID that a known one had, is that one. `isSameMailbox`: it is the same server and
 * UIDVALIDITY, so that of two messages without any telling header either the date or the size may be another one by now.
 */
export function isListedAgain(before: Recognisable, now: Recognisable, isSameMailbox: boolean): boolean {
  if (differ(before.identity, now.identity)) return false;
  const agreeing = Number(before.arrival === now.arrival) + Number(before.octets === now.octets);
  if (agreeing === 2 || isKnownToBeTheSame(before.identity, now.identity)) return true;
  return isSameMailbox && agreeing === 1 && now.identity.messageId === '' && !before.identity.messageId;
}

/**
 * Whether a known message seems to be another one by now, as in a mailbox that was set back in time: its INTERNALDATE is another one, and is the same each time
 * that it is asked for. `answers`: what the server told first and last, 0 where it told nothing.
 */
export function hasAnotherDate(before: number, answers: readonly [number, number]): boolean {
  const [first, last] = answers;
  const isAnother = before > 0 && first > 0 && first !== before;
  return isAnother && (last === first || last === 0);
}

/** A message without a Message-ID is not known by that. */
export function isKnownToBeTheSame(one: Identity, other: Identity): boolean {
  return (one.given !== '' && one.given === other.given) || (Boolean(one.messageId) && one.messageId === other.messageId);
}

function allAgree(signs: readonly Sign[]): boolean {
  return signs.includes('agrees') && signs.every((sign) => sign === 'agrees' || sign === 'silent');
}

function dateSign({ arrival }: Recorded, found: Found): Sign {
  if (arrival === 0) return 'silent';
  if (found.arrival === 0) return 'missing';
  return found.arrival === arrival ? 'agrees' : 'differs';
}

function sizeSign({ declaredOctets, trueOctets }: Recorded, { octets }: Found): Sign {
  if (octets === 0) return declaredOctets === 0 ? 'silent' : 'missing';
  if (octets === declaredOctets || octets === trueOctets) return 'agrees';
  return declaredOctets === 0 ? 'silent' : 'differs';
}

function steadySign(recorded: Recorded, answers: Answers, value: 'date' | 'size'): Sign {
  const [sign, valueOf] = value === 'date' ? [dateSign, ({ arrival }: Found) => arrival] : [sizeSign, ({ octets }: Found) => octets];
  const [first, last] = [valueOf(answers[0]), valueOf(answers[1])];
  return first > 0 && last > 0 && first !== last ? 'wanders' : sign(recorded, answers[1]);
}

/** The server itself calls it something else. */
function isContradicted({ identity }: Recorded, answers: Answers): boolean {
  return answers.some((found) => differ({ ...identity, messageId: undefined }, { ...found.identity, messageId: undefined }));
}

function hasAnotherMessageId(recorded: Recorded, found: Found): boolean {
  return differ({ ...recorded.identity, given: '' }, { ...found.identity, given: '' });
}

function hasLostItsHeader(recorded: Recorded, found: Found): boolean {
  return Boolean(recorded.identity.messageId) && found.identity.messageId === undefined;
}
