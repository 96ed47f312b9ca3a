/** Starts what is to be measured, all before the same IMAP server, each on a link of its own. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess } from '../support/bridge-process.ts';
import { type Dovecot, imapcBridge } from '../support/peers/dovecot.ts';
import type { BenchOptions, TargetName } from './options.ts';
import { popWork } from './pop-work.ts';
import type { ProxyHandle } from './proxy/proxy-handle.ts';
import { rawWork } from './raw-work.ts';
import type { Target } from './target.ts';
import { usersOf, type Work } from './work.ts';

/** What stands between a target and the IMAP server. */
interface Upstream {
  readonly dovecot: Dovecot;
  readonly port: number;
  readonly tls: boolean;
  readonly link: number | undefined;
}

const STARTERS: Readonly<Record<TargetName, (upstream: Upstream) => Promise<Target>>> = {
  popbridge: startPopbridge,
  dovecot: startNative,
  imapc: startPeer,
  raw: startRaw,
};

/** Starts those that the options name; the stack stops them, also when a later one fails. */
export async function startTargets(
  stack: AsyncDisposableStack,
  dovecot: Dovecot,
  proxy: ProxyHandle,
  options: BenchOptions,
): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const name of options.targets) {
    const { imap, imaps } = dovecot.ports;
    const server = options.tls ? imaps : imap;
    const link = options.direct || name === 'dovecot' ? undefined : await proxy.link(server);
    targets.push(stack.use(await STARTERS[name]({ dovecot, port: link ?? server, tls: options.tls, link })));
  }
  return targets;
}

/** A new daemon for every user to forget. It deletes as POP3 servers do, and reads every message anew, as the others here have to. */
async function startPopbridge({ dovecot, port, tls, link }: Upstream): Promise<Target> {
  const config = bridgeConfig({
    imapPort: port,
    security: tls ? 'tls' : 'none',
    upstream: tls ? [`ca_file = "${dovecot.ca}"`] : [],
    tables: '[delete]\naction = "expunge"\n[limits]\nsessions_per_address = 1000\nbody_cache = "0B"\n',
  });
  const known = new Set<string>();
  let bridge = await BridgeProcess.start({ config });
  return {
    name: 'popbridge',
    link,
    get popPort() {
      return bridge.port();
    },
    get pid() {
      return bridge.pid;
    },
    perform: (work) => noting(known, work, () => popWork(bridge.port(), work)),
    knows: (user) => known.has(user),
    forget: async () => {
      await bridge[Symbol.asyncDispose]();
      known.clear();
      bridge = await BridgeProcess.start({ config });
    },
    [Symbol.asyncDispose]: async () => bridge[Symbol.asyncDispose](),
  };
}

async function startPeer({ dovecot, port, tls, link }: Upstream): Promise<Target> {
  const peer = await imapcBridge(dovecot, { port, tls });
  const known = new Set<string>();
  return {
    name: 'imapc',
    link,
    popPort: peer.ports.pop3,
    pid: peer.pid,
    perform: (work) => noting(known, work, () => popWork(peer.ports.pop3, work)),
    knows: (user) => known.has(user),
    forget: async (user) => {
      await rm(join(peer.folder, 'mail', user), { recursive: true, force: true });
      known.delete(user);
    },
    [Symbol.asyncDispose]: async () => peer[Symbol.asyncDispose](),
  };
}

/** No bridge, and never any delay: the server's own POP3 on the mailbox itself. */
async function startNative({ dovecot }: Upstream): Promise<Target> {
  const port = dovecot.ports.pop3;
  return { ...withoutProcess, name: 'dovecot', popPort: port, link: undefined, perform: (work) => popWork(port, work) };
}

async function startRaw({ port, tls, link }: Upstream): Promise<Target> {
  return { ...withoutProcess, name: 'raw', popPort: undefined, link, perform: (work) => rawWork(port, tls, work) };
}

const withoutProcess = {
  pid: undefined,
  knows: () => true,
  forget: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

async function noting<T>(known: Set<string>, work: Work, perform: () => Promise<T>): Promise<T> {
  for (const user of usersOf(work)) known.add(user);
  return perform();
}
