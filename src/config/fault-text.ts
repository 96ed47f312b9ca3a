/** How faults are worded: what is wrong, then what is allowed. Pure. */
import type { z } from 'zod';
import { nearestWord } from './suggest.ts';

const LONGEST_QUOTE = 60;

/** A value as a fault shows it: on one line, cut where it is long. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > LONGEST_QUOTE ? `${value.slice(0, LONGEST_QUOTE)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return kindOf(value);
}

/** The text for a fault that the schema itself has no words for; undefined leaves it to zod. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `is ${kindOf(issue.input)}; must be ${KIND_NAMES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return describeChoice(issue.input, issue.values.map(String));
    case 'too_small':
      return `${shown(issue.input)} is too small; at least ${issue.minimum}`;
    case 'too_big':
      return `${shown(issue.input)} is too big; at most ${issue.maximum}`;
    default:
      return undefined;
  }
}

/** The text for a key that the table doesn't have. */
export function describeUnknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestWord(key, known);
  return nearest === undefined ? `unknown key; known here: ${known.join(', ')}` : `unknown key; did you mean "${nearest}"?`;
}

function describeChoice(value: unknown, choices: readonly string[]): string {
  const allowed = choices.map((choice) => `"${choice}"`).join(', ');
  const nearest = typeof value === 'string' ? nearestWord(value, choices) : undefined;
  const question = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
  return `${shown(value)} is not allowed; must be ${choices.length > 1 ? 'one of ' : ''}${allowed}${question}`;
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'a table',
};

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : `the number ${value}`;
  if (typeof value === 'boolean') return String(value);
  return value !== null && typeof value === 'object' ? 'a table' : value === null ? 'null' : `a ${typeof value}`;
}
