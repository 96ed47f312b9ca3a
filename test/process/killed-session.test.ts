/** kill -9 of a daemon with an open session that has marked messages, and the start after it. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';

allowInLog('map-rematched');

/** Enough for a UID map of several segments, and a write-ahead log worth reading back. */
const MESSAGES = 2_000;
/** Next to an ordinary start of the same run. */
const MOST_TIMES_SLOWER = 3;
/** A busy machine may spoil one comparison, not every one. */
const MOST_TRIES = 3;

test('kill -9 with marked messages deletes nothing: the store opens clean, as fast as after an ordinary stop, with the same unique-ids', async () => {
  await using all = new AsyncDisposableStack();
  const first = all.use(await BridgeSite.start());
  let site = first;
  const { imap } = first;
  first.deliver('INBOX', ...Array.from({ length: MESSAGES }, (_, index) => `mail ${index}`));
  const listed = async (): Promise<string[]> => {
    const client = await site.open();
    const lines = await client.multi('UIDL');
    expect(await client.command('QUIT')).toBe('+OK bye');
    client.close();
    return lines;
  };
  const restartMs = async (signal: NodeJS.Signals): Promise<number> => {
    await site.bridge.stop(signal);
    const begun = performance.now();
    site = await site.restart(signal, '');
    const tookMs = performance.now() - begun;
    all.use(site.bridge);
    return tookMs;
  };
  const ids = await listed();
  // From here on they follow from nothing but the map.
  imap.mailbox('INBOX').resetUidValidity();
  const ratios: number[] = [];
  do {
    const ordinaryMs = await restartMs('SIGTERM');
    const client = await site.open();
    expect(await client.multi('UIDL')).toEqual(ids);
    for (const number of [1, 2, MESSAGES]) expect(await client.command(`DELE ${number}`)).toMatch(/^\+OK/);
    await client.retrieve(3);
    ratios.push((await restartMs('SIGKILL')) / ordinaryMs);
  } while ((ratios.at(-1) ?? 0) >= MOST_TIMES_SLOWER && ratios.length < MOST_TRIES);
  expect(Math.min(...ratios), `${ratios.join(', ')} times an ordinary start`).toBeLessThan(MOST_TIMES_SLOWER);

  const database = new DatabaseSync(join(first.bridge.folder, 'state', 'popbridge.sqlite'), { readOnly: true });
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  expect(database.prepare('SELECT count(*) AS entries FROM journal').get()).toEqual({ entries: 0 });
  database.close();
  expect(await listed()).toEqual(ids);
  expect(imap.commands.filter((command) => /MOVE|EXPUNGE|COPY|\\Deleted/.test(command))).toEqual([]);
  expect([site.upstream().length, site.upstream('Trash')]).toEqual([MESSAGES, []]);
});
