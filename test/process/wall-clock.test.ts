/** A wall clock that is set while the daemon runs, for C as for JavaScript: sessions go on, and only what is due by date takes notice. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { patienceText } from '../support/patience.ts';
import { WallClock } from '../support/peers/faketime.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { until } from '../support/until.ts';

allowInLog('session-error');

const DAY_MS = 86_400_000;

describeWithPeers(['faketime'], 'a wall clock that jumps', () => {
  let folder: string;
  let clock: WallClock;
  let it: BridgeSite;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-wall-clock-'));
    clock = new WallClock(join(folder, 'clock'));
    it = await BridgeSite.start({
      tables: '[delete]\nafter = "14d"\naction = "trash"',
      commandTimeout: patienceText(1_000),
      variables: clock.variables,
    });
    it.deliver('INBOX', 'one', 'two', 'three');
  });

  afterAll(async () => {
    await it[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /** By the daemon's own log, to a day. */
  const daysAhead = (): number => Math.round((Date.parse(String(it.bridge.log.at(-1)?.['time'])) - Date.now()) / DAY_MS);

  test('a day ahead, and a day back, ends no session and no connection to the server, nor changes what they show', async () => {
    const { ids } = await it.look();
    const client = await it.open();
    const before = it.imap.connections;
    for (const days of [1, -1, 0]) {
      clock.jumpTo(days);
      expect((await client.multi('UIDL')).map((line) => line.split(' ')[1])).toEqual(Object.values(ids));
      expect((await client.retrieve(1)).toString()).toContain('body of one');
      expect(await client.command('NOOP')).toMatch(/^\+OK/);
    }
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(it.imap.connections).toBe(before);
  });

  test('back while the server hangs puts off no deadline', async () => {
    const client = await it.open();
    it.imap.setScript(({ command }) => (command.startsWith('UID FETCH') ? { hang: true } : undefined));
    const before = it.imap.commands.length;
    client.send('RETR 2\r\n');
    await until(() => it.imap.commands.slice(before).some((command) => command.startsWith('UID FETCH 2 ')));
    clock.jumpTo(-1);
    expect(await client.line()).toMatch(/^-ERR \[SYS\/TEMP\] /);
    it.imap.setScript(undefined);
    clock.jumpTo(0);
    expect((await client.retrieve(2)).toString()).toContain('body of two');
    expect(await client.command('QUIT')).toBe('+OK bye');
  });

  test('beyond delete.after carries out what was put off, and not before', async () => {
    expect(await it.delete('alice', 'two')).toBe('+OK bye');
    for (const days of [0, 13, -1, 13]) {
      clock.jumpTo(days);
      expect((await it.look()).subjects).toEqual(['one', 'three']);
      expect(daysAhead()).toBeCloseTo(days);
      expect([it.upstream(), it.upstream('Trash')]).toEqual([['one', 'two', 'three'], []]);
    }
    clock.jumpTo(15);
    expect((await it.look()).subjects).toEqual(['one', 'three']);
    expect([it.upstream(), it.upstream('Trash')]).toEqual([['one', 'three'], ['two']]);
    // It stays deleted when the clock is right again.
    clock.jumpTo(0);
    expect((await it.look()).subjects).toEqual(['one', 'three']);
    expect(it.upstream('Trash')).toEqual(['two']);
  });
});
