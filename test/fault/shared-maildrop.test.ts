/** `lock = "shared"`: several sessions on one maildrop at a time, none of which loses what another one did. */
import { expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('map-rematched');

const open = endsWithEachTest();
const shared = sharedByTests();

const SHARED = '[maildrop]\nlock = "shared"\n';

async function site(tables = ''): Promise<BridgeSite<Bridge>> {
  return withMail(await BridgeSite.startIn(shared, { tables: SHARED + tables }));
}

function withMail<Site extends BridgeSite<Bridge>>(running: Site): Site {
  open.push(running);
  running.deliver('INBOX', 'one', 'two', 'three', 'four');
  return running;
}

test('several sessions see the same mail at the same time, each as it was when it began', async () => {
  const running = await site();
  const first = await running.open();
  const second = await running.open();
  const ids = await first.multi('UIDL');
  expect(await second.multi('UIDL')).toEqual(ids);
  running.deliver('INBOX', 'five');
  const third = await running.open();
  expect(await third.multi('UIDL')).toHaveLength(5);
  expect(await first.multi('UIDL')).toEqual(ids);
  const bodies = await Promise.all([first.retrieve(1), second.retrieve(2), third.retrieve(5)]);
  expect(bodies.map((body) => /body of (\w+)/.exec(body.toString())?.[1])).toEqual(['one', 'two', 'five']);
  for (const client of [first, second, third]) expect(await client.command('QUIT')).toBe('+OK bye');
});

test('what one of them hides stays hidden when another one, which began before, ends', async () => {
  const running = await site('[delete]\naction = "hide"\n');
  const first = await running.open();
  const second = await running.open();
  const third = await running.open();
  await first.command('DELE 1');
  await second.command('DELE 2');
  await third.retrieve(3);
  for (const client of [first, second, third]) expect(await client.command('QUIT')).toBe('+OK bye');
  expect((await running.look()).subjects).toEqual(['three', 'four']);
});

test('what several of them delete is deleted once, and all are told so', async () => {
  const running = await site();
  const first = await running.open();
  const second = await running.open();
  for (const client of [first, second]) for (const number of [1, 2]) await client.command(`DELE ${number}`);
  expect(await Promise.all([first.command('QUIT'), second.command('QUIT')])).toEqual(['+OK bye', '+OK bye']);
  expect(running.upstream()).toEqual(['three', 'four']);
  expect(running.upstream('Trash').sort()).toEqual(['one', 'two']);
});

test('unique-ids stay, whoever saved them last', async () => {
  const running = withMail(await BridgeSite.start({ tables: SHARED }));
  const before = (await running.look()).ids;
  const early = await running.open();
  running.deliver('INBOX', 'five');
  const late = await running.open();
  running.deliver('INBOX', 'six');
  const latest = await running.open();
  await early.retrieve(1);
  await late.retrieve(5);
  await latest.retrieve(6);
  for (const client of [latest, late, early]) await client.command('QUIT');
  const after = (await running.look()).ids;
  expect(after).toMatchObject(before);
  const again = await running.restart('SIGTERM', SHARED);
  open.push(again.bridge);
  expect((await again.look()).ids).toEqual(after);
});

test('a session of another epoch changes nothing when it ends', async () => {
  const running = await site('[delete]\naction = "hide"\n');
  const before = (await running.look()).ids;
  const early = await running.open();
  await early.command('DELE 1');
  running.imap.mailbox('INBOX').resetUidValidity();
  running.imap.dropConnections();
  expect((await running.look()).ids).toEqual(before);
  await early.command('QUIT');
  expect((await running.look()).ids).toEqual(before);
});
