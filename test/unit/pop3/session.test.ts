import { describe, expect, test } from 'vitest';
import { FIRST_UID, snapshotOf } from '../../support/fake-maildrop.ts';
import { BusyError, InvariantError, StoreError, UpstreamError, type BridgeError } from '../../../src/errors.ts';
import { VERBS } from '../../../src/pop3/command.ts';
import { MAX_BAD_COMMANDS, MAX_LOGIN_FAILURES } from '../../../src/pop3/limits.ts';
import { encodeStatus } from '../../../src/pop3/reply.ts';
import { isAwaitingLine, step } from '../../../src/pop3/session.ts';
import { CLOSED, initialState, type SessionInput, type SessionState } from '../../../src/pop3/session-state.ts';
import { asTransaction, authorization, play, POLICY, REFUSED, transaction, typed } from './sessions.ts';

const SECURE_ONLY = { ...POLICY, allowsCleartextLogin: false };
const NO_SUCH = '-ERR no such message\r\n';
const LISTING = '+OK 3 messages (600 octets)\r\n1 100\r\n2 200\r\n3 300\r\n.\r\n';

function failing(error: BridgeError, begun = false): SessionInput {
  return { on: 'failed', error, begun };
}

function wrongState(verb: string): string {
  return `-ERR ${verb} is not valid in this state\r\n`;
}

/** Every verb with an argument that is right, and what it does in the two states that take commands. */
const VERBS_IN_STATES: readonly (readonly [line: string, inAuthorization: string[], inTransaction: string[]])[] = [
  ['USER alice', ['+OK send PASS\r\n'], [wrongState('USER')]],
  ['PASS secret', ['-ERR send USER first\r\n'], [wrongState('PASS')]],
  ['AUTH', ['+OK mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n'], [wrongState('AUTH')]],
  ['AUTH PLAIN', ['+ \r\n'], [wrongState('AUTH')]],
  ['AUTH LOGIN', ['+ VXNlcm5hbWU6\r\n'], [wrongState('AUTH')]],
  ['AUTH CRAM-MD5', ['-ERR unknown mechanism\r\n'], [wrongState('AUTH')]],
  ['STLS', ['+OK begin TLS\r\n', '<start-tls>'], [wrongState('STLS')]],
  ['QUIT', ['+OK bye\r\n', '<close>'], ['<update: remove >']],
  ['STAT', [wrongState('STAT')], ['+OK 3 600\r\n']],
  ['LIST', [wrongState('LIST')], [LISTING]],
  ['LIST 2', [wrongState('LIST')], ['+OK 2 200\r\n']],
  ['UIDL 2', [wrongState('UIDL')], ['+OK 2 1234abcd.00000007.00000066\r\n']],
  ['RETR 2', [wrongState('RETR')], ['<retrieve of 2: +OK message follows>']],
  ['TOP 2 0', [wrongState('TOP')], ['<top 0 of 2: +OK top of message follows>']],
  ['TOP 2 10', [wrongState('TOP')], ['<top 10 of 2: +OK top of message follows>']],
  ['DELE 2', [wrongState('DELE')], ['+OK message 2 deleted\r\n']],
  ['RSET', [wrongState('RSET')], ['+OK maildrop has 3 messages (600 octets)\r\n']],
  ['LAST', [wrongState('LAST')], ['+OK 0\r\n']],
  ['NOOP', [wrongState('NOOP')], ['+OK\r\n']],
];

describe('every verb', () => {
  test.each(VERBS_IN_STATES)('%s', (line, inAuthorization, inTransaction) => {
    expect(play(authorization(), [line])[1]).toEqual(inAuthorization);
    expect(play(transaction(), [line])[1]).toEqual(inTransaction);
  });

  test('CAPA is answered in both states, and only LIST-like replies have many lines', () => {
    for (const state of [authorization(), transaction()]) {
      expect(play(state, ['CAPA'])[1].join('')).toMatch(/^\+OK capabilities follow\r\n(?:[A-Z].*\r\n)+\.\r\n$/);
    }
  });

  test('stands in the table above', () => {
    expect(new Set([...VERBS_IN_STATES.map(([line]) => line.split(' ')[0]), 'CAPA'])).toEqual(new Set(VERBS));
  });

  test.each(VERBS_IN_STATES)('%s waits while something slow is running', (line) => {
    for (const state of slowStates()) {
      expect(isAwaitingLine(state)).toBe(false);
      expect(() => step(state, typed(line), POLICY)).toThrow(InvariantError);
    }
  });

  test.each(VERBS_IN_STATES)('%s has no effect after the end', (line) => {
    expect(step(CLOSED, typed(line), POLICY)).toEqual([CLOSED, []]);
  });
});

function slowStates(): SessionState[] {
  const [retrieving] = play(transaction(), ['RETR 1']);
  return [{ phase: 'AUTHENTICATING', before: authorization() }, { phase: 'SECURING' }, retrieving, { phase: 'UPDATE' }];
}

describe('logging in', () => {
  test('takes USER and PASS', () => {
    const [state, effects] = play(authorization(), ['USER alice', 'PASS se cret ']);
    expect(effects).toEqual(['+OK send PASS\r\n', '<authenticate alice se cret >']);
    expect(state.phase).toBe('AUTHENTICATING');
  });

  test('opens the maildrop as a new session', () => {
    const opened = { maildrop: snapshotOf([1]), loginDelaySeconds: 60, maxMessageOctets: 9 };
    const [state, effects] = play({ phase: 'AUTHENTICATING', before: authorization() }, [{ on: 'maildrop-opened', opened }]);
    expect(effects).toEqual(['+OK maildrop locked and ready\r\n']);
    expect(asTransaction(state)).toEqual({ phase: 'TRANSACTION', isSecured: false, ...opened, highestRetrieved: 0, badCommands: 0 });
  });

  test('answers USER alike for every name (RFC 1939 section 7)', () => {
    for (const name of ['alice', 'nobody', 'a@b', '../../etc/passwd']) {
      expect(play(authorization(), [`USER ${name}`])[1]).toEqual(['+OK send PASS\r\n']);
    }
  });

  test('needs USER anew after a refused PASS', () => {
    const [, effects] = play(authorization(), ['USER alice', 'PASS wrong', failing(REFUSED), 'PASS right']);
    expect(effects.slice(2)).toEqual(['-ERR [AUTH] user name or password refused\r\n', '-ERR send USER first\r\n']);
  });

  test('the last USER counts', () => {
    expect(play(authorization(), ['USER alice', 'USER bob', 'PASS secret'])[1].at(-1)).toBe('<authenticate bob secret>');
  });

  test('ends the session at the third refused login, not before', () => {
    const once = ['USER alice', 'PASS wrong', failing(REFUSED)];
    const [two] = play(authorization(), [...once, ...once]);
    expect(two.phase).toBe('AUTHORIZATION');
    const [state, effects] = play(two, once);
    expect(MAX_LOGIN_FAILURES).toBe(3);
    expect(effects.slice(-2)).toEqual(['-ERR [AUTH] user name or password refused\r\n', '<close>']);
    expect(state).toBe(CLOSED);
  });

  test('counts refused logins over USER and AUTH alike', () => {
    const auth = ['AUTH PLAIN AGFsaWNlAHNlY3JldA==', failing(REFUSED)];
    expect(play(authorization(), [...auth, 'USER alice', 'PASS wrong', failing(REFUSED), ...auth])[0]).toBe(CLOSED);
  });

  test("does not count what is not the client's fault", () => {
    const trouble = [new UpstreamError('unreachable', 'x'), new BusyError('MAILDROP_IN_USE', 'x'), new StoreError('STORE_FAILED', 'x')];
    const inputs = [...trouble, ...trouble].flatMap((error) => ['USER alice', 'PASS secret', failing(error)]);
    const [state, effects] = play(authorization(), inputs);
    expect(state).toEqual(authorization());
    expect(effects).not.toContain('<close>');
  });

  test('ends the session where we ourselves are at fault', () => {
    const [state, effects] = play(authorization(), ['USER alice', 'PASS secret', failing(new InvariantError('x'))]);
    expect(effects.slice(-2)).toEqual(['-ERR [SYS/TEMP] internal error, try again\r\n', '<close>']);
    expect(state).toBe(CLOSED);
  });

  test('takes AUTH LOGIN line by line', () => {
    const [, effects] = play(authorization(), ['AUTH LOGIN', 'YWxpY2U=', 'c2VjcmV0']);
    expect(effects).toEqual(['+ VXNlcm5hbWU6\r\n', '+ UGFzc3dvcmQ6\r\n', '<authenticate alice secret>']);
  });

  test('takes AUTH PLAIN with and without an initial response', () => {
    const response = 'AGFsaWNlAHNlY3JldA==';
    expect(play(authorization(), [`AUTH PLAIN ${response}`])[1]).toEqual(['<authenticate alice secret>']);
    expect(play(authorization(), ['AUTH PLAIN', response])[1]).toEqual(['+ \r\n', '<authenticate alice secret>']);
  });

  test('goes on after an exchange that was cancelled or failed', () => {
    const [, effects] = play(authorization(), ['AUTH PLAIN', '*', 'AUTH LOGIN', 'bad!', 'USER alice', 'PASS secret']);
    expect(effects).toEqual([
      '+ \r\n',
      '-ERR authentication cancelled\r\n',
      '+ VXNlcm5hbWU6\r\n',
      '-ERR bad base64\r\n',
      '+OK send PASS\r\n',
      '<authenticate alice secret>',
    ]);
  });

  test('takes a line within an exchange for no command', () => {
    expect(play(authorization(), ['AUTH PLAIN', 'QUIT'])[1]).toEqual(['+ \r\n', '-ERR malformed PLAIN response\r\n']);
    expect(play(authorization(), ['AUTH PLAIN', 'NOOP!'])[1]).toEqual(['+ \r\n', '-ERR bad base64\r\n']);
  });

  test('without TLS is refused before the password is sent, where clear text is not allowed', () => {
    const refusal = '-ERR TLS is required before login on this connection\r\n';
    for (const line of ['USER alice', 'PASS secret', 'AUTH PLAIN', 'AUTH LOGIN']) {
      expect(play(authorization(), [line], SECURE_ONLY)[1]).toEqual([refusal]);
    }
    expect(play(authorization(), ['AUTH'], SECURE_ONLY)[1]).toEqual(['+OK mechanisms follow\r\n.\r\n']);
    expect(play(authorization({ isSecured: true }), ['USER alice'], SECURE_ONLY)[1]).toEqual(['+OK send PASS\r\n']);
  });
});

describe('STLS', () => {
  test('forgets all that was said before (RFC 2595 section 4)', () => {
    const [state] = play(authorization({ loginFailures: 2, badCommands: 5 }), ['USER mallory', 'STLS', { on: 'secured' }]);
    expect(state).toEqual(initialState(true));
    expect(play(state, ['PASS secret'])[1]).toEqual(['-ERR send USER first\r\n']);
  });

  test('is refused where TLS is on, and where there is no certificate; the session goes on', () => {
    expect(play(authorization({ isSecured: true }), ['STLS', 'USER alice'])[1]).toEqual([
      '-ERR TLS is active already\r\n',
      '+OK send PASS\r\n',
    ]);
    expect(play(authorization(), ['STLS', 'USER alice'], { ...POLICY, offersTls: false })[1]).toEqual([
      '-ERR TLS is not offered here\r\n',
      '+OK send PASS\r\n',
    ]);
  });
});

describe('an HTTP request', () => {
  const REFUSED_HTTP = ['<close: the client speaks HTTP>'];

  test.each(['GET / HTTP/1.1', 'POST /mail HTTP/1.0', 'PRI * HTTP/2.0', 'USER / HTTP/1.1'])(
    '%j as the first line ends the session without an answer, and nothing behind it counts',
    (line) => {
      for (const state of [authorization(), authorization({ isSecured: true })]) {
        expect(play(state, [line, 'Host: mail.example.com', 'USER alice', 'PASS secret'])).toEqual([CLOSED, REFUSED_HTTP]);
      }
    },
  );

  test('ends the session as the first line behind STLS too, though the client has spoken before it', () => {
    expect(play(authorization(), ['CAPA', 'STLS', { on: 'secured' }, 'GET / HTTP/1.1'])[1].slice(-1)).toEqual(REFUSED_HTTP);
  });

  test('ends it behind empty lines and commands too, for as long as nobody has begun to log in', () => {
    for (const lines of [[''], ['CAPA'], ['FROB', '', 'AUTH']]) {
      expect(play(authorization(), [...lines, 'GET / HTTP/1.1'])[1].slice(-1)).toEqual(REFUSED_HTTP);
    }
  });

  test('is a line like any other behind USER and after the login: a password may look like one', () => {
    const [, effects] = play(authorization(), ['USER alice', 'PASS is it HTTP/1.1']);
    expect(effects).toEqual(['+OK send PASS\r\n', '<authenticate alice is it HTTP/1.1>']);
    expect(play(transaction(), ['GET / HTTP/1.1'])[1]).toEqual(['-ERR unknown command\r\n']);
  });
});

describe('message-numbers', () => {
  test.each(['RETR 0', 'RETR 4', 'DELE 0', 'DELE 99999999999', 'TOP 4 0', 'LIST 0', 'LIST 4', 'UIDL 0', 'UIDL 4294967297'])(
    '%s names no message',
    (line) => {
      expect(play(transaction(), [line])[1]).toEqual([NO_SUCH]);
    },
  );

  test.each(['RETR 2', 'DELE 2', 'TOP 2 0', 'LIST 2', 'UIDL 2'])('%s is refused once 2 is deleted', (line) => {
    expect(play(transaction(), ['DELE 2', line])[1].at(-1)).toBe(NO_SUCH);
  });

  test('hold for the session: a deletion moves none (RFC 1939 section 4)', () => {
    expect(play(transaction(), ['DELE 1', 'LIST 3', 'UIDL 3'])[1].slice(1)).toEqual([
      '+OK 3 300\r\n',
      '+OK 3 1234abcd.00000007.00000067\r\n',
    ]);
  });
});

describe('the listings', () => {
  test('leave out what is deleted (RFC 1939 section 5)', () => {
    const [, effects] = play(transaction(), ['DELE 2', 'STAT', 'LIST', 'UIDL']);
    expect(effects.slice(1)).toEqual([
      '+OK 2 400\r\n',
      '+OK 2 messages (400 octets)\r\n1 100\r\n3 300\r\n.\r\n',
      '+OK unique-ids follow\r\n1 1234abcd.00000007.00000065\r\n3 1234abcd.00000007.00000067\r\n.\r\n',
    ]);
  });

  test('of an empty maildrop have no lines', () => {
    const [, effects] = play(transaction(snapshotOf([])), ['STAT', 'LIST', 'UIDL', 'LIST 1', 'RETR 1']);
    expect(effects).toEqual(['+OK 0 0\r\n', '+OK 0 messages (0 octets)\r\n.\r\n', '+OK unique-ids follow\r\n.\r\n', NO_SUCH, NO_SUCH]);
  });

  test('count beyond 32 bits without a sign', () => {
    expect(play(transaction(snapshotOf([3_000_000_000, 3_000_000_000])), ['STAT', 'LIST 1'])[1]).toEqual([
      '+OK 2 6000000000\r\n',
      '+OK 1 3000000000\r\n',
    ]);
  });
});

describe('RETR and TOP', () => {
  test('RETR names the octets only where they are known before the first is sent (CONTRACT section 5.5)', () => {
    const [, effects] = step(transaction(), typed('RETR 1'), POLICY);
    const texts = effects.map((effect) => effect.do === 'retrieve' && [undefined, 99].map((octets) => encodeStatus(effect.reply(octets))));
    expect(texts).toEqual([['+OK message follows\r\n', '+OK 99 octets\r\n']]);
  });

  test('RETR of a message above the limit is refused; TOP is not', () => {
    const limited = transaction(snapshotOf([100, 101]), { maxMessageOctets: 100 });
    expect(play(limited, ['RETR 2'])[1]).toEqual(['-ERR [SYS/PERM] message is larger than the limit set here\r\n']);
    expect(play(limited, ['TOP 2 1'])[1]).toEqual(['<top 1 of 2: +OK top of message follows>']);
    expect(play(limited, ['RETR 1'])[1]).toEqual(['<retrieve of 1: +OK message follows>']);
  });

  test('a failure before the first octet is told, and the session goes on', () => {
    const [state, effects] = play(transaction(), ['RETR 1', failing(new UpstreamError('message-gone', 'x')), 'NOOP']);
    expect(effects.slice(1)).toEqual(['-ERR message is no longer on the server\r\n', '+OK\r\n']);
    expect(state.phase).toBe('TRANSACTION');
  });

  test('a failure after it closes the connection without another octet', () => {
    for (const error of [new UpstreamError('unreachable', 'x'), new InvariantError('x')]) {
      expect(play(transaction(), ['RETR 1', failing(error, true)])).toEqual([CLOSED, ['<retrieve of 1: +OK message follows>', '<close>']]);
    }
  });
});

describe('LAST', () => {
  test('is the highest number retrieved, not the latest; TOP and failures do not count', () => {
    const gone = failing(new UpstreamError('message-gone', 'x'));
    const [state, effects] = play(transaction(), [
      'RETR 2',
      { on: 'retrieved' },
      'RETR 1',
      { on: 'retrieved' },
      'TOP 3 0',
      { on: 'retrieved' },
      'RETR 3',
      gone,
      'LAST',
    ]);
    expect(effects.at(-1)).toBe('+OK 2\r\n');
    expect(play(state, ['RSET', 'LAST'])[1].at(-1)).toBe('+OK 0\r\n');
  });
});

describe('DELE and RSET', () => {
  test('DELE in a read-only mailbox is refused for good', () => {
    expect(play(transaction(snapshotOf([1], { isReadOnly: true })), ['DELE 1', 'STAT'])[1]).toEqual([
      '-ERR [SYS/PERM] mailbox is read-only\r\n',
      '+OK 1 1\r\n',
    ]);
  });

  test('RSET unmarks all: they are counted, listed and not removed', () => {
    const [, effects] = play(transaction(), ['DELE 1', 'DELE 3', 'RSET', 'LIST', 'QUIT']);
    expect(effects.slice(2)).toEqual(['+OK maildrop has 3 messages (600 octets)\r\n', LISTING, '<update: remove >']);
  });
});

describe('QUIT', () => {
  test('after login removes exactly what is marked', () => {
    const [state, effects] = play(transaction(), ['DELE 3', 'DELE 1', 'QUIT']);
    expect(effects.at(-1)).toBe(`<update: remove ${FIRST_UID} ${FIRST_UID + 2}>`);
    expect(state).toEqual({ phase: 'UPDATE' });
  });

  test('marks as seen what was retrieved whole and is kept', () => {
    const [state] = play(transaction(), [
      'RETR 1',
      { on: 'retrieved' },
      'RETR 2',
      { on: 'retrieved' },
      'TOP 3 5',
      { on: 'retrieved' },
      'DELE 2',
    ]);
    const [, effects] = step(state, typed('QUIT'), POLICY);
    expect(effects).toEqual([
      { do: 'update', plan: { mailboxes: [{ mailbox: 0, remove: [102], seen: [101] }], removeCount: 1, removeOctets: 200 } },
    ]);
  });

  const OUTCOMES: readonly (readonly [input: SessionInput, line: string])[] = [
    [{ on: 'updated', outcome: { result: 'done' } }, '+OK bye\r\n'],
    [
      { on: 'updated', outcome: { result: 'partial', failed: 2, total: 3, temporary: true } },
      '-ERR [SYS/TEMP] 2 of 3 messages not deleted\r\n',
    ],
    [
      { on: 'updated', outcome: { result: 'partial', failed: 3, total: 3, temporary: false } },
      '-ERR [SYS/PERM] 3 of 3 messages not deleted\r\n',
    ],
    [{ on: 'updated', outcome: { result: 'unknown', total: 3 } }, '-ERR [SYS/TEMP] 3 messages to delete, outcome unknown\r\n'],
    [failing(new StoreError('STORE_FAILED', 'x')), '-ERR [SYS/TEMP] internal error, try again\r\n'],
    [failing(new UpstreamError('unreachable', 'x')), '-ERR [SYS/TEMP] mail server cannot be reached\r\n'],
  ];
  test.each(OUTCOMES)('tells the truth about %j', (input, line) => {
    expect(play({ phase: 'UPDATE' }, [input])).toEqual([CLOSED, [line, '<close>']]);
  });
});

describe('bad commands', () => {
  const lines = (count: number): string[] => Array.from({ length: count }, () => 'XYZZY');

  test('are answered and survived, save for the twentieth in a row', () => {
    for (const state of [authorization(), transaction()]) {
      const [after, effects] = play(state, lines(MAX_BAD_COMMANDS - 1));
      expect(MAX_BAD_COMMANDS).toBe(20);
      expect(new Set(effects)).toEqual(new Set(['-ERR unknown command\r\n']));
      expect(play(after, ['XYZZY'])).toEqual([CLOSED, ['-ERR too many bad commands\r\n', '<close>']]);
    }
  });

  test('are forgiven by a good one', () => {
    const [state] = play(transaction(), [...lines(19), 'NOOP', ...lines(19)]);
    expect(state.phase).toBe('TRANSACTION');
  });

  test('count where the command is right and the state is wrong', () => {
    expect(
      play(
        authorization(),
        Array.from({ length: 20 }, () => 'STAT'),
      )[0],
    ).toBe(CLOSED);
  });

  test('never cause an UPDATE, whatever was marked', () => {
    expect(play(transaction(), ['DELE 1', ...lines(20)])[1].join('')).not.toContain('<update');
  });
});

describe('a line that is too long', () => {
  test('ends the session without UPDATE', () => {
    for (const state of [authorization(), transaction()]) {
      expect(play(state, [{ on: 'line-too-long' }])).toEqual([CLOSED, ['-ERR line too long\r\n', '<close>']]);
    }
  });
});

describe('shutdown (CONTRACT section 5.11)', () => {
  const word = ['-ERR [SYS/TEMP] shutting down\r\n', '<close>'];
  const [retrieving] = play(transaction(), ['RETR 1']);
  const [exchanging] = play(authorization(), ['AUTH PLAIN']);
  const [marked] = play(transaction(), ['DELE 1']);
  const PHASES: readonly (readonly [what: string, state: SessionState, effects: readonly string[]])[] = [
    ['before login', authorization(), word],
    ['within AUTH', exchanging, word],
    ['while logging in', { phase: 'AUTHENTICATING', before: authorization() }, word],
    ['with messages marked', marked, word],
    ['within a message', retrieving, ['<close>']],
    ['within the TLS handshake', { phase: 'SECURING' }, ['<close>']],
    ['after the end', CLOSED, []],
  ];
  test.each(PHASES)('%s', (_, state, effects) => {
    expect(play(state, [{ on: 'shutdown' }])).toEqual([CLOSED, effects]);
  });

  test('lets an UPDATE go on to its end', () => {
    const [state, effects] = play({ phase: 'UPDATE' }, [{ on: 'shutdown' }, { on: 'updated', outcome: { result: 'done' } }]);
    expect(effects).toEqual(['+OK bye\r\n', '<close>']);
    expect(state).toBe(CLOSED);
  });
});

test('an answer nobody waits for is our own fault', () => {
  const answers: readonly SessionInput[] = [{ on: 'secured' }, { on: 'retrieved' }, { on: 'updated', outcome: { result: 'done' } }];
  for (const answer of answers) expect(() => step(transaction(), answer, POLICY)).toThrow(InvariantError);
});
