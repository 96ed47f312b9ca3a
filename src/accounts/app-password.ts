/** App passwords: made here, shown once, typed into a mail program. */
import { randomInt } from 'node:crypto';

/** Without letters that look like others. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyz';
const GROUPS = 5;
const GROUP_LETTERS = 4;
const LEAST_CHARACTERS = 8;
const MOST_OCTETS = 200;

/** Twenty letters in groups of four, about 90 bits: nobody guesses them, and old programs take them. */
export function generateAppPassword(): string {
  const group = (): string => Array.from({ length: GROUP_LETTERS }, () => LETTERS[randomInt(LETTERS.length)]).join('');
  return Array.from({ length: GROUPS }, group).join('-');
}

/** What is wrong with a chosen one; undefined where nothing is. POP3 takes no control characters, and a line of 255 octets. */
export function appPasswordProblem(password: string): string | undefined {
  if (password.length < LEAST_CHARACTERS) return `is too short; give at least ${LEAST_CHARACTERS} characters`;
  if (Buffer.byteLength(password) > MOST_OCTETS) return `is too long; give at most ${MOST_OCTETS} octets`;
  return /[\0-\x1f\x7f]/.test(password) ? 'holds control characters, which POP3 does not take' : undefined;
}
