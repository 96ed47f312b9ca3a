/**
 * The reply to QUIT is lost behind a commit (SECURITY.md, fault matrix): what was asked for is done, once, whatever becomes of the client meanwhile; the next
 * login lists it no more, and finds nothing left to do.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BridgeSite } from '../support/bridge-site.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { until } from '../support/until.ts';
import { FaultProxy } from '../torture/fault-proxy.ts';

let site: BridgeSite;
let proxy: FaultProxy;

beforeAll(async () => {
  site = await BridgeSite.start();
  proxy = await FaultProxy.start(site.bridge.port(), () => {});
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

/** Runs at a command of UPDATE, before the server does what it says. */
function at(verb: string, what: () => void): void {
  site.imap.setScript((event) => {
    if (event.verb !== verb) return undefined;
    site.imap.setScript(undefined);
    what();
    // By then the daemon has heard of it.
    return { delayMs: 100 };
  });
}

const LOSSES: readonly (readonly [string, (client: PopDialogue) => void])[] = [
  ['closes its side behind QUIT', (client) => void client.socket.end('QUIT\r\n')],
  [
    'closes its side behind a QUIT that waits for a message',
    (client) => {
      at('UID FETCH', () => {});
      client.socket.end('RETR 1\r\nQUIT\r\n');
    },
  ],
  [
    'closes behind QUIT',
    (client) => {
      client.send('QUIT\r\n');
      client.socket.destroySoon();
    },
  ],
  [
    'resets while the server is moving its mail',
    (client) => {
      at('UID MOVE', () => client.socket.resetAndDestroy());
      client.send('QUIT\r\n');
    },
  ],
  [
    // The search that follows MOVE asks whether all is gone.
    'resets when its mail is moved and before it is told',
    (client) => {
      at('UID SEARCH', () => client.socket.resetAndDestroy());
      client.send('QUIT\r\n');
    },
  ],
  [
    'loses its connection with the reply on it',
    (client) => {
      proxy.arm({ at: { direction: 'down', octets: 0 }, what: 'cut' });
      client.send('QUIT\r\n');
    },
  ],
];

test.for(LOSSES)('a client that %s: its mail is gone, once', async ([how, lose]) => {
  const [wanted, kept] = [`delete, ${how}`, `keep, ${how}`];
  site.deliver('INBOX', wanted, kept);
  const before = await site.look();
  const ended = site.bridge.events('session-end').length;
  // The proxy knows no half-closed connection.
  const client = await PopDialogue.connect(how.startsWith('loses') ? proxy.port : site.bridge.port());
  await client.login('alice', 'secret');
  expect(await client.command(`DELE ${before.subjects.indexOf(wanted) + 1}`)).toMatch(/^\+OK/);
  const asked = site.imap.commands.length;
  lose(client);
  const reply = (await client.closed()).toString();
  client.close();
  // Who still reads is told; all others never are.
  expect(/(?<=^|\n)\+OK bye\r\n$/.test(reply), reply).toBe(how.startsWith('closes its side'));
  expect(await site.bridge.event('session-end', ended + 1)).toMatchObject({ outcome: 'QUIT', deleted: { count: 1 } });
  await until(() => site.imap.openConnections === 0);
  expect([site.upstream().includes(wanted), site.upstream('Trash').filter((subject) => subject === wanted)]).toEqual([false, [wanted]]);

  const { [wanted]: gone, ...others } = before.ids;
  expect(gone).toBeDefined();
  expect((await site.look()).ids).toEqual(others);
  expect(site.imap.commands.slice(asked).filter((command) => /MOVE|COPY|EXPUNGE/.test(command))).toHaveLength(1);
});
