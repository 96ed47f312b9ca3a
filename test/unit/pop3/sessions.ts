/** States and shorthands for the tests of the session. */
import { expect } from 'vitest';
import { snapshotOf } from '../../support/fake-maildrop.ts';
import { CredentialsError } from '../../../src/errors.ts';
import type { Maildrop } from '../../../src/maildrop/maildrop.ts';
import { encodeStatus } from '../../../src/pop3/reply.ts';
import { step } from '../../../src/pop3/session.ts';
import {
  initialState,
  type Authorization,
  type Effect,
  type SessionInput,
  type SessionPolicy,
  type SessionState,
  type Transaction,
} from '../../../src/pop3/session-state.ts';
import { octets } from './octets.ts';

export const POLICY: SessionPolicy = {
  offersTls: true,
  allowsCleartextLogin: true,
  loginDelaySeconds: undefined,
  implementation: 'popbridge-test',
};

export const REFUSED = new CredentialsError('AUTH_REFUSED', 'SECRET upstream text');

export function authorization(fields: Partial<Authorization> = {}): Authorization {
  return { ...initialState(false), ...fields };
}

export function transaction(maildrop: Maildrop = snapshotOf([100, 200, 300]), fields: Partial<Transaction> = {}): Transaction {
  return {
    phase: 'TRANSACTION',
    isSecured: false,
    maildrop,
    loginDelaySeconds: undefined,
    maxMessageOctets: 0,
    highestRetrieved: 0,
    badCommands: 0,
    ...fields,
  };
}

export function typed(line: string): SessionInput {
  return { on: 'line', line: octets(line) };
}

/** An effect as a short text: the octets of a reply, or its name with what matters. */
export function shown(effect: Effect): string {
  switch (effect.do) {
    case 'reply':
      return encodeStatus(effect.reply) + (effect.reply.lines === undefined ? '' : `${[...effect.reply.lines].join('')}.\r\n`);
    case 'challenge':
      return `+ ${effect.challenge}\r\n`;
    case 'authenticate':
      return `<authenticate ${effect.credentials.user} ${effect.credentials.password}>`;
    case 'retrieve':
      return `<${effect.lines === undefined ? 'retrieve' : `top ${effect.lines}`} of ${effect.entry.number}: ${encodeStatus(effect.reply(undefined)).trimEnd()}>`;
    case 'update':
      return `<update: remove ${effect.plan.mailboxes.flatMap(({ remove }) => remove).join(' ')}>`;
    case 'start-tls':
      return '<start-tls>';
    case 'close':
      return effect.refused === undefined ? '<close>' : `<close: ${effect.refused}>`;
  }
}

/** Feeds inputs (a text is a line) one after the other; gives the last state and everything shown. */
export function play(
  start: SessionState,
  inputs: readonly (SessionInput | string)[],
  policy: SessionPolicy = POLICY,
): readonly [SessionState, string[]] {
  let state = start;
  const effects: string[] = [];
  for (const input of inputs) {
    const [next, caused] = step(state, typeof input === 'string' ? typed(input) : input, policy);
    state = next;
    effects.push(...caused.map(shown));
  }
  return [state, effects];
}

/** The state as TRANSACTION; fails the test where it is another. */
export function asTransaction(state: SessionState): Transaction {
  expect(state.phase).toBe('TRANSACTION');
  if (state.phase !== 'TRANSACTION') throw new Error('not in TRANSACTION');
  return state;
}
