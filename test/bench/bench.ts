/**
 * `npm run bench`: polls, drains, TOPs and a storm of sessions through the bridge, side by side with Dovecot's own POP3 (the
 * control: no bridge at all) and with Dovecot's POP3 over imapc (the peer), interleaved in one run. Prints medians and ratios;
 * absolute times mean little on a shared machine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess } from '../support/bridge-process.ts';
import { Dovecot, imapcBridge } from '../support/peers/dovecot.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const PASSWORD = 'secret';
const SMALL = Buffer.from(`Subject: small\r\n\r\n${`${'s'.repeat(76)}\r\n`.repeat(52)}`);
const BIG = Buffer.from(`Subject: big\r\n\r\n${`${'b'.repeat(76)}\r\n`.repeat(320_000)}`);
const STORM_CLIENTS = 25;
const STORM_SESSIONS = 200;

type Target = (user: string) => Promise<PopDialogue>;

interface Scenario {
  readonly name: string;
  /** A user of its own for each round: the first poll must be a first one. */
  readonly perRound: boolean;
  readonly user: string;
  readonly run: (target: Target, user: string) => Promise<void>;
}

const scenarios: readonly Scenario[] = [
  { name: 'first poll of 1,000', perRound: true, user: 'first', run: poll },
  { name: 'warm poll of 1,000', perRound: false, user: 'small', run: poll },
  { name: 'TOP n 0 of 1,000', perRound: false, user: 'small', run: (target, user) => eachMessage(target, user, (n) => `TOP ${n} 0`, 1000) },
  {
    name: 'drain of 1,000 × 4 KiB',
    perRound: false,
    user: 'small',
    run: (target, user) => eachMessage(target, user, (n) => `RETR ${n}`, 1000),
  },
  { name: 'drain of 4 × 24 MiB', perRound: false, user: 'big', run: (target, user) => eachMessage(target, user, (n) => `RETR ${n}`, 4) },
  { name: `storm: ${STORM_SESSIONS} sessions, ${STORM_CLIENTS} at a time`, perRound: false, user: 'storm', run: storm },
];

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${name}${index}`);
const users = ['small', 'big', ...numbered('first', ROUNDS * 3), ...numbered('storm', STORM_CLIENTS)];
await using dovecot = await Dovecot.start({ users: Object.fromEntries(users.map((user) => [user, PASSWORD])) });
for (const user of users) {
  const many = user.startsWith('storm') ? 20 : 1000;
  await dovecot.deliver(user, user === 'big' ? Array.from({ length: 4 }, () => BIG) : Array.from({ length: many }, () => SMALL));
}
await using peer = await imapcBridge(dovecot);
const folder = mkdtempSync(join(tmpdir(), 'popbridge-bench-'));
await using bridge = await BridgeProcess.start({
  folder,
  config: bridgeConfig({ imapPort: dovecot.ports.imap }),
});

const targets: readonly (readonly [string, Target])[] = [
  ['popbridge', login(bridge.port())],
  ['dovecot pop3', login(dovecot.ports.pop3)],
  ['dovecot imapc', login(peer.ports.pop3)],
];

console.log(`medians of ${ROUNDS} rounds in ms; ratio > 1: popbridge is faster\n`);
console.log(row(['scenario', ...targets.map(([name]) => name), 'to control', 'to peer']));
for (const scenario of scenarios) {
  const times = targets.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, [, target]] of targets.entries()) {
      const user = scenario.perRound ? `${scenario.user}${round * targets.length + index}` : scenario.user;
      const begun = performance.now();
      await scenario.run(target, user);
      times[index]?.push(performance.now() - begun);
    }
  }
  const [ours = 0, control = 0, others = 0] = times.map(median);
  console.log(
    row([
      scenario.name,
      ...[ours, control, others].map((ms) => ms.toFixed(0)),
      `${(control / ours).toFixed(2)}x`,
      `${(others / ours).toFixed(2)}x`,
    ]),
  );
}
rmSync(folder, { recursive: true, force: true });

function login(port: number): Target {
  return async (user) => {
    const client = await PopDialogue.connect(port);
    await client.login(user, PASSWORD);
    return client;
  };
}

async function poll(target: Target, user: string): Promise<void> {
  const client = await target(user);
  await client.command('STAT');
  await client.multi('UIDL');
  await client.multi('LIST');
  await client.command('QUIT');
  client.close();
}

async function eachMessage(target: Target, user: string, command: (number: number) => string, count: number): Promise<void> {
  const client = await target(user);
  for (let number = 1; number <= count; number += 1) await client.multiOctets(command(number));
  await client.command('QUIT');
  client.close();
}

async function storm(target: Target, name: string): Promise<void> {
  const turns = STORM_SESSIONS / STORM_CLIENTS;
  await Promise.all(
    numbered(name, STORM_CLIENTS).map(async (user) => {
      for (let turn = 0; turn < turns; turn += 1) await poll(target, user);
    }),
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(44) : cell.padStart(14))).join('');
}
