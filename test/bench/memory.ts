/** What a bridge holds in memory: alone, with many sessions that do nothing, and before clients that read slowly or not at all. */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { MailboxKind } from './mail-spool.ts';
import type { TargetName } from './options.ts';
import { PopClient } from './pop-client.ts';
import { PASSWORD } from './pop-work.ts';
import { pssKib } from './process-usage.ts';
import type { Site } from './site.ts';
import type { Target } from './target.ts';

const IDLE_SESSIONS = 200;
const READERS = 8;
const READ_MS = 3000;
const READ_OCTETS = 64 * 1024;
const PAUSE_MS = 100;
const SETTLE_MS = 1000;
const FEW: MailboxKind = { kind: 'small', messages: 20 };
const LARGE: MailboxKind = { kind: 'medium', messages: 1 };

/** In KiB; rises are peaks over what there was before. */
export interface MemoryFigures {
  readonly target: TargetName;
  /** PSS of a new daemon. */
  readonly atRest: number;
  /** PSS for each of the sessions that wait after STAT. */
  readonly perIdleSession: number;
  /** PSS under readers of 640 KiB/s of messages of 10 MiB. */
  readonly slowReadersRise: number;
  /** PSS for each client that has asked for 10 MiB and reads nothing. */
  readonly perSilentReader: number;
}

/** Undefined for targets that are no bridges. The distance to the server is what was set last. */
export async function measureMemory(site: Site, target: Target): Promise<MemoryFigures | undefined> {
  const { popPort, pid } = target;
  if (popPort === undefined || pid === undefined) return undefined;
  const atRest = await newDaemon(site, target);
  const perIdleSession = await idleSessions(site, target);
  const slow = await readers(site, target, 'slow');
  const silent = await readers(site, target, 'silent');
  return { target: target.name, atRest, perIdleSession, slowReadersRise: slow, perSilentReader: silent / READERS };
}

/** For every figure, for else one would hide behind what another left; its PSS. */
async function newDaemon(site: Site, target: Target): Promise<number> {
  await target.forget(await site.user(FEW));
  await delay(SETTLE_MS);
  return pss(target);
}

async function idleSessions(site: Site, target: Target): Promise<number> {
  const users = [];
  for (let number = 0; number < IDLE_SESSIONS; number += 1) users.push(await site.user(FEW, number));
  // Once through everything, so that what is loaded and compiled at first use counts for no session.
  for (const user of users.slice(0, READERS)) await target.perform({ do: 'poll', user, messages: FEW.messages });
  await delay(SETTLE_MS);
  const before = pss(target);
  const clients = [];
  for (const user of users) {
    const client = await PopClient.login(target.popPort ?? 0, user, PASSWORD);
    await client.command('STAT');
    clients.push(client);
  }
  await delay(SETTLE_MS);
  const after = pss(target);
  for (const client of clients) client.close();
  await delay(SETTLE_MS);
  return (after - before) / IDLE_SESSIONS;
}

/** The highest rise of PSS while they all are at it. */
async function readers(site: Site, target: Target, pace: 'slow' | 'silent'): Promise<number> {
  await newDaemon(site, target);
  const users = [];
  for (let number = 0; number < READERS; number += 1) users.push(await site.user(LARGE, number));
  for (const user of users) await target.perform({ do: 'poll', user, messages: LARGE.messages });
  // One message whole, so that what the runtime takes once counts for no client.
  const [user = ''] = users;
  await target.perform({ do: 'drain', user, messages: LARGE.messages, octets: site.octets(user) });
  await delay(SETTLE_MS);
  const before = pss(target);
  const sockets = await Promise.all(users.map((user) => slowReader(target.popPort ?? 0, user)));
  let peak = before;
  for (const until = performance.now() + READ_MS; performance.now() < until; await delay(PAUSE_MS)) {
    for (const socket of pace === 'slow' ? sockets : []) socket.read(Math.min(READ_OCTETS, socket.readableLength));
    peak = Math.max(peak, pss(target));
  }
  for (const socket of sockets) socket.destroy();
  await delay(SETTLE_MS);
  return peak - before;
}

/** Logs in with everything at once, and takes only what is read from it by hand. */
async function slowReader(port: number, user: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  for (const command of ['', `USER ${user}\r\n`, `PASS ${PASSWORD}\r\n`]) {
    socket.write(command);
    await new Promise((resolve) => socket.once('readable', resolve));
    socket.read();
  }
  socket.write('RETR 1\r\n');
  return socket;
}

function pss({ pid = 0 }: Target): number {
  return pssKib(pid);
}
