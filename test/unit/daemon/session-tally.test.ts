import { expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { SessionTally, type SessionSummary } from '../../../src/daemon/session-tally.ts';

function tallying(): { readonly tally: SessionTally; readonly told: SessionSummary[] } {
  const told: SessionSummary[] = [];
  return { tally: new SessionTally(new FakeClock(), (summary) => told.push(summary)), told };
}

/** The outcome that is told, and what happens to the session before. */
const TABLE: readonly (readonly [outcome: string, ...happens: readonly ((tally: SessionTally) => void)[]])[] = [
  ['lost'],
  ['no QUIT', loggedIn],
  ['closed before login', closed],
  ['no QUIT', loggedIn, closed],
  ['QUIT', loggedIn, concluded('QUIT'), concluded('taken over')],
  ['shutdown', concluded('shutdown'), loggedIn],
  ['shutdown', concluded('shutdown'), closed],
  ['idle', loggedIn, concluded('idle'), concluded('cut')],
  ['closed before login', closed, loggedIn, concluded('displaced')],
];

function loggedIn(tally: SessionTally): void {
  tally.noteLogin();
}

function closed(tally: SessionTally): void {
  tally.noteClose();
}

function concluded(outcome: string): (tally: SessionTally) => void {
  return (tally) => tally.conclude(outcome);
}

test.for(TABLE)('an outcome that is known stays: %s', ([outcome, ...happens]) => {
  const { tally, told } = tallying();
  for (const event of happens) event(tally);
  tally.end(3);
  expect(told).toMatchObject([{ outcome, operations: 3 }]);
});

test('knows whether the outcome is known', () => {
  const { tally } = tallying();
  tally.noteLogin();
  expect(tally.isConcluded).toBe(false);
  tally.conclude('idle');
  expect(tally.isConcluded).toBe(true);
});

test('is told once', () => {
  const { tally, told } = tallying();
  tally.end(3);
  tally.conclude('QUIT');
  tally.end(3);
  expect(told.map(({ outcome }) => outcome)).toEqual(['lost']);
});
