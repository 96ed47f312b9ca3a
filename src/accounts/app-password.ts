/** App passwords: made here, shown once, typed into a mail program. */
import { randomInt } from 'node:crypto';
import { credentialProblem } from '../pop3/command.ts';

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

/** What is wrong with a chosen one; undefined where nothing is. It has to fit into a POP3 line of 255 octets. */
export function appPasswordProblem(password: string): string | undefined {
  if (password.length < LEAST_CHARACTERS) return `is too short; give at least ${LEAST_CHARACTERS} characters`;
  if (Buffer.byteLength(password) > MOST_OCTETS) return `is too long; give at most ${MOST_OCTETS} octets`;
  return credentialProblem('password', password) === undefined ? undefined : 'holds NUL, CR or LF, which POP3 does not take';
}
