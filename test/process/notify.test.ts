/** What the service manager hears: READY when mail is served, STOPPING before the end. */
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { peerPath } from '../support/peers/peer.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { NotifyReceiver } from './notify-receiver.ts';

allowInLog('notify-failed');

describeWithPeers(['python3', 'systemd-notify'], 'sd_notify', () => {
  test('READY comes when all listeners are up, STOPPING at SIGTERM', async () => {
    await using receiver = await NotifyReceiver.start();
    await using imap = await ImapServer.start();
    const variables = { NOTIFY_SOCKET: receiver.path, PATH: `${dirname(peerPath('systemd-notify'))}:${process.env['PATH'] ?? ''}` };
    await using bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port }), variables });
    await receiver.waitFor('READY=1');
    expect(await bridge.stop()).toBe(0);
    await receiver.waitFor('STOPPING=1');
    expect(bridge.events('notify-failed')).toEqual([]);
  });

  test('a missing systemd-notify is logged, and mail is served all the same', async () => {
    await using imap = await ImapServer.start();
    const variables = { NOTIFY_SOCKET: '/nowhere/notify', PATH: '/nowhere' };
    await using bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port }), variables });
    await bridge.event('notify-failed');
    expect(bridge.port()).toBeGreaterThan(0);
  });
});
