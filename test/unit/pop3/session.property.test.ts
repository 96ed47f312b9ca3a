import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { snapshotOf } from '../../support/fake-maildrop.ts';
import { InvariantError, UpstreamError } from '../../../src/errors.ts';
import { VERBS } from '../../../src/pop3/command.ts';
import { isAwaitingLine, step } from '../../../src/pop3/session.ts';
import type { SessionInput, SessionState } from '../../../src/pop3/session-state.ts';
import { asTransaction, authorization, play, POLICY, REFUSED, shown, transaction, typed } from './sessions.ts';

const line: fc.Arbitrary<SessionInput> = fc
  .oneof(
    fc
      .tuple(fc.constantFrom(...VERBS), fc.constantFrom('', ' 1', ' 2', ' 3', ' 0', ' 1 1', ' alice', ' PLAIN', ' LOGIN'))
      .map((parts) => parts.join('')),
    fc.constantFrom('*', '=', 'YWxpY2U=', 'AGFsaWNlAHNlY3JldA==', ''),
    fc.string({ maxLength: 12 }),
  )
  .map(typed);

const event: fc.Arbitrary<SessionInput> = fc.constantFrom<SessionInput>(
  { on: 'line-too-long' },
  { on: 'secured' },
  { on: 'maildrop-opened', opened: { maildrop: snapshotOf([1, 2, 3]), loginDelaySeconds: undefined, maxMessageOctets: 0 } },
  { on: 'retrieved' },
  { on: 'updated', outcome: { result: 'done' } },
  { on: 'failed', error: REFUSED, begun: false },
  { on: 'failed', error: new UpstreamError('unreachable', 'x'), begun: true },
  { on: 'shutdown' },
);

const inputs = fc.array(fc.oneof({ weight: 4, arbitrary: line }, event), { maxLength: 40 });

/** What happens next in that state, as a connection would tell it. */
function answerFor(state: SessionState, choice: number): SessionInput | undefined {
  const failed: SessionInput = { on: 'failed', error: new UpstreamError('unreachable', 'x'), begun: choice === 2 };
  if (choice > 0 && state.phase !== 'SECURING') return isAwaitingLine(state) ? undefined : failed;
  switch (state.phase) {
    case 'AUTHENTICATING':
      return { on: 'maildrop-opened', opened: { maildrop: snapshotOf([10, 20, 30]), loginDelaySeconds: undefined, maxMessageOctets: 0 } };
    case 'SECURING':
      return { on: 'secured' };
    case 'RETRIEVING':
      return { on: 'retrieved' };
    case 'UPDATE':
      return { on: 'updated', outcome: { result: 'done' } };
    default:
      return undefined;
  }
}

/** Plays lines, and answers each slow effect at once. */
function converse(start: SessionState, lines: readonly SessionInput[], choices: readonly number[]): string[][] {
  let state = start;
  const steps: string[][] = [];
  lines.forEach((input, index) => {
    for (let next: SessionInput | undefined = input; next !== undefined; next = answerFor(state, choices[index] ?? 0)) {
      const [after, effects] = step(state, next, POLICY);
      state = after;
      steps.push(effects.map(shown));
      if (state.phase === 'CLOSED') break;
    }
  });
  return steps;
}

test('after close no input has any effect', () => {
  holds(
    fc.property(inputs, (sequence) => {
      let state: SessionState = authorization();
      let hasClosed = false;
      for (const input of sequence) {
        try {
          const [next, effects] = step(state, input, POLICY);
          if (hasClosed) expect(effects).toEqual([]);
          const closes = effects.findIndex((effect) => effect.do === 'close');
          if (closes >= 0) {
            expect(closes).toBe(effects.length - 1);
            expect(next.phase).toBe('CLOSED');
            hasClosed = true;
          }
          state = next;
        } catch (error) {
          expect(error).toBeInstanceOf(InvariantError);
        }
      }
    }),
    { usual: 300 },
  );
});

test('every line gets exactly one answer or one slow effect, and none throws', () => {
  holds(
    fc.property(fc.array(line, { maxLength: 30 }), fc.array(fc.nat(2), { maxLength: 30 }), (lines, choices) => {
      for (const effects of converse(authorization(), lines, choices)) {
        expect(effects.filter((effect) => /^\+|^-ERR|^<(?!close|start)/.test(effect)).length).toBeLessThanOrEqual(1);
        for (const effect of effects) expect(effect).not.toMatch(/SECRET/);
      }
    }),
    { usual: 300 },
  );
});

test('only a QUIT line in TRANSACTION causes an UPDATE', () => {
  holds(
    fc.property(inputs, (sequence) => {
      let state: SessionState = authorization();
      for (const input of sequence) {
        try {
          const [next, effects] = step(state, input, POLICY);
          if (effects.some((effect) => effect.do === 'update')) {
            expect(state.phase).toBe('TRANSACTION');
            expect(input.on === 'line' && Buffer.from(input.line).toString().trim().toUpperCase()).toBe('QUIT');
          }
          state = next;
        } catch (error) {
          expect(error).toBeInstanceOf(InvariantError);
        }
      }
    }),
    { usual: 300 },
  );
});

const marks = fc.array(fc.constantFrom('DELE 1', 'DELE 2', 'DELE 3', 'DELE 4', 'DELE 5', 'RETR 2', 'RSET'), { maxLength: 12 });
const sizes = fc.array(fc.nat(5_000_000_000), { maxLength: 5 });

function marked(octets: readonly number[], lines: readonly string[]): SessionState {
  const withAnswers = lines.flatMap((text): (string | SessionInput)[] =>
    text.startsWith('RETR') && octets.length >= 2 ? ['RSET', text, { on: 'retrieved' }] : text.startsWith('RETR') ? [] : [text],
  );
  return play(transaction(snapshotOf(octets)), withAnswers)[0];
}

test('STAT is the sum of LIST', () => {
  holds(
    fc.property(sizes, marks, (octets, lines) => {
      const [, [stat = '', list = '']] = play(marked(octets, lines), ['STAT', 'LIST']);
      const rows = list
        .split('\r\n')
        .slice(1, -2)
        .map((row) => Number(row.split(' ')[1]));
      expect(stat).toBe(`+OK ${rows.length} ${rows.reduce((sum, one) => sum + one, 0)}\r\n`);
    }),
  );
});

test('LIST n and UIDL n are the lines of LIST and UIDL', () => {
  holds(
    fc.property(sizes, marks, fc.constantFrom('LIST', 'UIDL'), (octets, lines, verb) => {
      const state = marked(octets, lines);
      const rows = (play(state, [verb])[1][0] ?? '').split('\r\n').slice(1, -2);
      const single = octets.map((_, index) => play(state, [`${verb} ${index + 1}`])[1][0] ?? '');
      expect(single.filter((reply) => reply.startsWith('+OK')).map((reply) => reply.slice(4).trimEnd())).toEqual(rows);
    }),
  );
});

test('RSET makes the maildrop what it was at login', () => {
  holds(
    fc.property(sizes, marks, (octets, lines) => {
      const all = ['STAT', 'LIST', 'UIDL', 'LAST', 'QUIT'];
      const [reset] = play(marked(octets, lines), ['RSET']);
      expect(play(asTransaction(reset), all)[1]).toEqual(play(transaction(snapshotOf(octets)), all)[1]);
    }),
  );
});
