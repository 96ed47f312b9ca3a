/** Unique-ids as other servers make them, against those very servers: a site can move here and no client fetches its mail again. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess } from '../support/bridge-process.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const USER = 'alice';
const PASSWORD = 'secret';

async function uniqueIds(port: number): Promise<string[]> {
  const client = await PopDialogue.connect(port);
  await client.login(USER, PASSWORD);
  const lines = await client.multi('UIDL');
  await client.command('QUIT');
  return lines.map((line) => line.replace(/^\d+ /, ''));
}

describeWithPeers(['dovecot', 'openssl'], 'unique-ids', () => {
  let dovecot: Dovecot;

  beforeAll(async () => {
    dovecot = await Dovecot.start({ users: { [USER]: PASSWORD } });
    await deliver('one', 'two', 'three');
  });

  afterAll(async () => {
    await dovecot[Symbol.asyncDispose]();
  });

  const deliver = (...subjects: readonly string[]): Promise<unknown> =>
    dovecot.deliver(
      USER,
      subjects.map((subject) => Buffer.from(`Subject: ${subject}\r\n\r\nbody\r\n`)),
    );
  const config = (uniqueId: string): string =>
    bridgeConfig({ imapPort: dovecot.ports.imap, tables: `[maildrop]\nunique_id = "${uniqueId}"` });

  test('"dovecot" are, octet for octet, those of Dovecot\'s own POP3 server', async () => {
    await using bridge = await BridgeProcess.start({ config: config('dovecot') });
    const ids = await uniqueIds(bridge.port());
    expect(ids).toHaveLength(3);
    expect(ids).toEqual(await uniqueIds(dovecot.ports.pop3));
  });

  test('stay as they were shown when the template is changed; only new messages get new ones, for ever', async () => {
    await using bridge = await BridgeProcess.start({ config: config('popbridge') });
    const before = await uniqueIds(bridge.port());
    await deliver('four');
    bridge.configure(config('cyrus'));
    bridge.kill('SIGHUP');
    await bridge.event('reloaded');
    const after = await uniqueIds(bridge.port());
    expect(after.slice(0, 3)).toEqual(before);
    expect(after[3]).toMatch(/^\d{5,}\.\d+$/);
    await bridge.stop('SIGKILL');
    await using again = await BridgeProcess.start({ config: config('uw'), folder: bridge.folder });
    expect(await uniqueIds(again.port())).toEqual(after);
  });
});
