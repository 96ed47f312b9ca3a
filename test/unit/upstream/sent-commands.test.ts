import { describe, expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import { SentCommands } from '../../../src/upstream/sent-commands.ts';
import { ServerHabits } from '../../../src/upstream/server-habits.ts';
import { REPEATED, TOO_EARLY, wire } from '../../support/command-wire.ts';
import { settled } from '../../support/fake-clock.ts';

const SELECT = 'SELECT INBOX';
const SEARCH = 'UID SEARCH DELETED';
const FETCH = 'UID FETCH 1:9 (FLAGS)';

describe('several commands', () => {
  test('are sent at once, each under a tag of its own, and answered in any order', async () => {
    const { commands, sent, ask, says } = wire();
    const [first, second] = [ask(SELECT), ask(SEARCH)];
    expect(sent).toEqual([`Z1 ${SELECT}`, `Z2 ${SEARCH}`]);
    expect([...commands.sent].map(({ collector }) => collector)).toEqual([SELECT, SEARCH]);
    await says('Z2 OK searched');
    await says('Z1 NO gone');
    expect([first.outcome, second.outcome, commands.isEmpty]).toEqual(['NO gone', 'OK searched', true]);
  });

  test('have tags that tell whose an answer is', () => {
    const { commands, ask } = wire();
    ask(SELECT);
    expect([commands.isTagOf('Z1', SELECT), commands.isTagOf('Z1', SEARCH), commands.isTagOf('Z2', SELECT)]).toEqual([true, false, false]);
  });

  test('end as lines do', () => {
    const lines: string[] = [];
    void new SentCommands((line) => lines.push(line), new ServerHabits()).ask('NOOP', 'nobody');
    expect(lines).toEqual(['Z1 NOOP\r\n']);
  });

  test('are counted, also beyond what one digit can tell', async () => {
    const { commands, sent, ask, says } = wire();
    for (let count = 1; count <= 40; count += 1) {
      ask('NOOP');
      await says(`${sent.at(-1)?.split(' ')[0]} OK`);
    }
    expect([commands.count, new Set(sent).size, commands.isEmpty]).toEqual([40, 40, true]);
  });

  test('have one answer each: a second one, or one to nothing that was sent, is a fault of the server', async () => {
    const { ask, says } = wire();
    ask('NOOP');
    await says('Z1 OK');
    await expect(says('Z1 OK')).rejects.toMatchObject({ kind: 'protocol' });
    await expect(says('Z7 OK')).rejects.toMatchObject({ kind: 'protocol' });
  });

  test('fail together when the connection is lost, those that wait included, and later answers are for nobody', async () => {
    const habits = new ServerHabits();
    habits.isSerial = true;
    const { commands, ask, says } = wire(habits);
    const all = [ask(SELECT), ask(SEARCH), ask(FETCH)];
    commands.fail(new UpstreamError('unreachable', 'lost'));
    await settled();
    expect([...all.map(({ outcome }) => outcome), commands.isEmpty]).toEqual(['unreachable', 'unreachable', 'unreachable', true]);
    await expect(says('Z1 OK')).rejects.toMatchObject({ kind: 'protocol' });
  });
});

describe('a command that is refused with BAD while another is at work', () => {
  test('is sent again when the other one is answered, and its second answer counts', async () => {
    const { habits, sent, ask, says } = wire();
    const [first, second] = [ask(SELECT), ask(SEARCH)];
    await says(`Z2 ${TOO_EARLY}`);
    expect([sent.length, second.outcome]).toEqual([2, undefined]);
    await says('Z1 OK selected');
    expect([first.outcome, sent.at(-1), habits.isSerial]).toEqual(['OK selected', `Z3 ${SEARCH}`, false]);
    await says('Z3 OK searched');
    expect([second.outcome, habits.isSerial]).toEqual(['OK searched', true]);
  });

  test('is sent again at once when the other one was answered before', async () => {
    const { sent, ask, says } = wire();
    ask(SELECT);
    const second = ask(SEARCH);
    await says('Z1 OK selected');
    await says(`Z2 ${TOO_EARLY}`);
    expect(sent.at(-1)).toBe(`Z3 ${SEARCH}`);
    await says('Z3 NO later');
    expect(second.outcome).toBe('NO later');
  });

  test('goes out alone, and all that were refused one after the other, in their order', async () => {
    const { sent, ask, says } = wire();
    const all = [ask(SELECT), ask(SEARCH), ask(FETCH)];
    await says(`Z2 ${TOO_EARLY}`);
    await says(`Z3 ${TOO_EARLY}`);
    await says('Z1 OK selected');
    expect(sent.slice(3)).toEqual([`Z4 ${SEARCH}`]);
    await says('Z4 OK searched');
    expect(sent.slice(3)).toEqual([`Z4 ${SEARCH}`, `Z5 ${FETCH}`]);
    await says('Z5 OK fetched');
    expect(all.map(({ outcome }) => outcome)).toEqual(['OK selected', 'OK searched', 'OK fetched']);
  });

  test('is not sent a third time: then the server means it, and is no server that takes one at a time', async () => {
    const { habits, sent, ask, says } = wire();
    ask(SELECT);
    const second = ask(SEARCH);
    await says(`Z2 ${TOO_EARLY}`);
    await says('Z1 OK selected');
    await says('Z3 BAD unknown key');
    expect([second.outcome, sent.length, habits.isSerial]).toEqual(['BAD unknown key', 3, false]);
  });

  test.for(['NO no such mailbox', 'BAD no such command'])('is refused for good where the other one fails with %s', async (answer) => {
    const { commands, sent, ask, says } = wire();
    const [first, second] = [ask(SELECT), ask(SEARCH)];
    await says('Z2 BAD nothing is selected');
    await says(`Z1 ${answer}`);
    expect([first.outcome, second.outcome]).toEqual([answer, 'BAD nothing is selected']);
    expect([sent.length, commands.isEmpty]).toEqual([2, true]);
  });

  test('is refused for good where the other one had failed before', async () => {
    const { sent, ask, says } = wire();
    ask(SELECT);
    const second = ask(SEARCH);
    await says('Z1 NO no such mailbox');
    await says('Z2 BAD nothing is selected');
    expect([second.outcome, sent.length]).toEqual(['BAD nothing is selected', 2]);
  });

  test('is not sent again behind one that fails when it is repeated: it may be about the mailbox that was not opened', async () => {
    const { sent, ask, says } = wire();
    ask('NOOP');
    const [second, third] = [ask(SELECT), ask(FETCH)];
    await says(`Z2 ${TOO_EARLY}`);
    await says(`Z3 ${TOO_EARLY}`);
    await says('Z1 OK');
    await says('Z4 NO no such mailbox');
    expect([second.outcome, third.outcome, sent.length]).toEqual(['NO no such mailbox', TOO_EARLY, 4]);
  });

  test('lets those that are asked for meanwhile wait for it', async () => {
    const { sent, ask, says } = wire();
    ask(SELECT);
    const refused = ask(SEARCH);
    await says(`Z2 ${TOO_EARLY}`);
    const later = ask(FETCH);
    expect(sent.length).toBe(2);
    await says('Z1 OK selected');
    expect(sent.slice(2)).toEqual([`Z3 ${SEARCH}`]);
    await says('Z3 OK searched');
    expect(sent.slice(3)).toEqual([`Z4 ${FETCH}`]);
    await says('Z4 OK fetched');
    expect([refused.outcome, later.outcome]).toEqual(['OK searched', 'OK fetched']);
  });
});

describe('a command that came alone', () => {
  test('is refused with BAD for good', async () => {
    const { sent, ask, says } = wire();
    const only = ask(SEARCH);
    await says('Z1 BAD what');
    expect([only.outcome, sent.length]).toEqual(['BAD what', 1]);
  });

  test('is refused with NO for good, also behind another one', async () => {
    const { sent, ask, says } = wire();
    ask(SELECT);
    const second = ask(SEARCH);
    await says('Z2 NO');
    expect([second.outcome, sent.length]).toEqual(['NO ', 2]);
  });
});

const NEVER_REPEATED = [
  'UID MOVE 1 Trash',
  'UID COPY 1 Trash',
  'UID EXPUNGE 1',
  'UID STORE 1 -FLAGS.SILENT (\\Deleted)',
  'UID STORE 1 FLAGS (\\Deleted)',
  'CREATE Trash',
  'SUBSCRIBE Trash',
  'CLOSE',
  'UNSELECT',
  'LOGOUT',
  'EXPUNGE',
  'IDLE',
  'NOOPX',
  'UID',
  'DELETE NOOP',
];

describe('a command that is never repeated', () => {
  test.for(NEVER_REPEATED)('is refused at once with BAD, and nothing more is sent: %s', async (text) => {
    const { commands, sent, ask, says } = wire();
    ask('NOOP');
    const second = ask(text);
    await says(`Z2 ${TOO_EARLY}`);
    await says('Z1 OK');
    expect([second.outcome, sent.length]).toEqual([TOO_EARLY, 2]);
    expect([commands.isEmpty, commands.repeatLost()]).toEqual([true, false]);
  });

  test.for(NEVER_REPEATED)('is waited for, however long the server is silent: %s', async (text) => {
    const { commands, sent, ask, says } = wire();
    ask('NOOP');
    const second = ask(text);
    await says('Z1 OK');
    expect([commands.repeatLost(), sent.length]).toEqual([false, 2]);
    await says('Z2 OK done');
    expect(second.outcome).toBe('OK done');
  });

  test('stays away when others are repeated that were lost before it', async () => {
    const { commands, sent, ask, says } = wire();
    ask('NOOP');
    ask(FETCH);
    ask('UID MOVE 1 Trash');
    await says('Z1 OK');
    expect(commands.repeatLost()).toBe(true);
    expect(sent.slice(3)).toEqual([`Z4 ${FETCH}`]);
    await says('Z4 OK fetched');
    expect(sent.filter((line) => line.includes('MOVE')).length).toBe(1);
  });
});

describe('a command that is repeated', () => {
  test.for(REPEATED)('is sent once more after BAD: %s', async (text) => {
    const { sent, ask, says } = wire();
    ask('NOOP');
    const second = ask(text);
    await says(`Z2 ${TOO_EARLY}`);
    await says('Z1 OK');
    expect(sent.at(-1)).toBe(`Z3 ${text}`);
    await says('Z3 OK done');
    expect(second.outcome).toBe('OK done');
  });

  test.for(REPEATED)('is sent once more after silence: %s', async (text) => {
    const { commands, sent, ask, says } = wire();
    ask('NOOP');
    ask(text);
    await says('Z1 OK');
    expect([commands.repeatLost(), sent.at(-1)]).toEqual([true, `Z3 ${text}`]);
  });
});

describe('a command that is never answered', () => {
  test('is sent again when asked to, with all that were lost, one after the other', async () => {
    const { commands, habits, sent, ask, says } = wire();
    const all = [ask(SELECT), ask(SEARCH), ask(FETCH)];
    await says('Z1 OK selected');
    expect(commands.repeatLost()).toBe(true);
    expect(sent.slice(3)).toEqual([`Z4 ${SEARCH}`]);
    await says('Z4 OK searched');
    expect([sent.slice(4), habits.isSerial]).toEqual([[`Z5 ${FETCH}`], true]);
    await says('Z5 OK fetched');
    expect([...all.map(({ outcome }) => outcome), commands.isEmpty]).toEqual(['OK selected', 'OK searched', 'OK fetched', true]);
  });

  test('is repeated once, not twice', async () => {
    const { commands, sent, ask, says } = wire();
    ask(SELECT);
    ask(SEARCH);
    await says('Z1 OK selected');
    expect([commands.repeatLost(), commands.repeatLost(), sent.length]).toEqual([true, false, 3]);
  });

  test('is not the first one: that one is at work, and the others wait behind it', () => {
    const { commands, sent, ask } = wire();
    ask(SELECT);
    ask(SEARCH);
    expect([commands.repeatLost(), sent.length]).toEqual([false, 2]);
  });

  test('may be answered late under its first tag: that answer is taken, the second one is passed over', async () => {
    const { commands, habits, ask, says } = wire();
    ask(SELECT);
    const second = ask(SEARCH);
    await says('Z1 OK selected');
    commands.repeatLost();
    await says('Z2 OK slowly');
    await says('Z3 OK again');
    expect([second.outcome, habits.isSerial, commands.isEmpty]).toEqual(['OK slowly', false, true]);
  });

  test('and waits to be sent again is not sent when its first answer comes after all', async () => {
    const { commands, sent, ask, says } = wire();
    ask(SELECT);
    ask(SEARCH);
    const third = ask(FETCH);
    await says('Z1 OK selected');
    commands.repeatLost();
    await says('Z3 OK slowly');
    await says('Z4 OK searched');
    expect([third.outcome, sent.length, commands.isEmpty]).toEqual(['OK slowly', 4, true]);
  });

  test('and is refused late, while it waits to be sent again, is sent once and alone', async () => {
    const { commands, sent, ask, says } = wire();
    ask(SELECT);
    ask(SEARCH);
    const third = ask(FETCH);
    await says('Z1 OK selected');
    commands.repeatLost();
    await says(`Z3 ${TOO_EARLY}`);
    await says('Z4 OK searched');
    expect(sent.slice(4)).toEqual([`Z5 ${FETCH}`]);
    await says('Z5 OK fetched');
    expect([third.outcome, commands.isEmpty]).toEqual(['OK fetched', true]);
  });

  test('is none where nothing was asked', () => {
    expect(wire().commands.repeatLost()).toBe(false);
  });
});

test('a server that may be able to take several at a time is given all that waited at once, behind one that was refused for good', async () => {
  const { sent, ask, says } = wire();
  ask(SELECT);
  const refused = ask(SEARCH);
  await says('Z2 BAD nothing is selected');
  const later = [ask('NOOP'), ask('NAMESPACE'), ask('ID NIL')];
  await says('Z1 NO no such mailbox');
  expect(refused.outcome).toBe('BAD nothing is selected');
  expect(sent.slice(2)).toEqual(['Z3 NOOP', 'Z4 NAMESPACE', 'Z5 ID NIL']);
  for (const tag of ['Z3', 'Z4', 'Z5']) await says(`${tag} OK ${tag}`);
  expect(later.map(({ outcome }) => outcome)).toEqual(['OK Z3', 'OK Z4', 'OK Z5']);
});

describe('a server that is known to take one command at a time', () => {
  test('is given one at a time, in the order in which they were asked for', async () => {
    const habits = new ServerHabits();
    habits.isSerial = true;
    const { sent, ask, says } = wire(habits);
    const all = [ask(SELECT), ask(SEARCH), ask('UID MOVE 1 Trash')];
    for (const tag of ['Z1', 'Z2', 'Z3']) {
      expect(sent.at(-1)?.startsWith(`${tag} `)).toBe(true);
      await says(`${tag} OK ${tag}`);
    }
    expect([all.map(({ outcome }) => outcome), sent.length]).toEqual([['OK Z1', 'OK Z2', 'OK Z3'], 3]);
  });
});
