/**
 * The UID map of a large mailbox: what it costs to write it, to read it, and to add ten messages to it; then the same through the whole
 * program as first, warm and delta polls. Printed as ratios beside the times, of one run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { templateFor } from '../../src/daemon/derivation.ts';
import { asUid, isUidValidity } from '../../src/maildrop/numbers.ts';
import { reconcile, type ListedMessages, type NewIds } from '../../src/maildrop/reconcile.ts';
import { countIn, knownMessage, type UidMap } from '../../src/maildrop/uid-map.ts';
import { applyTemplate, fallbackFormula, parseTemplate } from '../../src/maildrop/unique-id.ts';
import { mapOctets } from '../../src/store/map-cache.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const MESSAGES = 100_000;
const ADDED = 10;
const ROUNDS = 5;
const UIDVALIDITY = 1_600_000_000;
const KEY = { maildrop: { upstream: 'bench', user: 'alice', view: '' }, path: 'INBOX' };

const template = parseTemplate('popbridge');
if ('problem' in template || !isUidValidity(UIDVALIDITY)) throw new Error('unusable template');
const uidValidity = UIDVALIDITY;
const names = { folderTag: 1, uidValidity };
const ids: NewIds = {
  formula: applyTemplate(template, names),
  fallback: (attempt) => fallbackFormula(names, attempt),
  taken: new Set(),
  used: [],
  elsewhere: [],
};

const folder = mkdtempSync(join(tmpdir(), 'popbridge-bench-'));
console.log(`\nthe UID map of ${MESSAGES.toLocaleString('en')} messages, medians of ${ROUNDS} rounds in ms\n`);
await storeCosts();
await pollCosts();
rmSync(folder, { recursive: true, force: true });

async function storeCosts(): Promise<void> {
  const times = { write: [] as number[], read: [] as number[], delta: [] as number[] };
  let map: UidMap | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    const path = join(folder, `${round}.sqlite`);
    const cold = listed(MESSAGES, MESSAGES);
    await using store = open(path);
    times.write.push(await timed(async () => save(store, undefined, cold)));
    await using again = open(path);
    let loaded: UidMap | undefined;
    times.read.push(await timed(async () => (loaded = await again.loadMap(KEY))));
    if (loaded === undefined || countIn(loaded) !== MESSAGES || knownMessage(loaded, asUid(MESSAGES)) === undefined)
      throw new Error('not the map');
    const more = listed(MESSAGES + ADDED, ADDED);
    times.delta.push(await timed(async () => save(again, loaded, more)));
    map = loaded;
  }
  const [write, read, delta] = [median(times.write), median(times.read), median(times.delta)];
  console.log(`write all   ${write.toFixed(1)}\nread all    ${read.toFixed(1)}\nadd ${ADDED}      ${delta.toFixed(1)}`);
  console.log(
    `cold : warm : delta = ${ratio(write, read)} : 1 : ${ratio(delta, read)}; ${((map === undefined ? 0 : mapOctets(map)) / 1_048_576).toFixed(2)} MiB in memory`,
  );
}

async function save(store: SqliteStore, previous: UidMap | undefined, listing: ListedMessages): Promise<void> {
  const next = reconcile(previous, listing, ids);
  await store.saveMaps(
    [{ key: KEY, previous, next, derivation: 'problem' in template ? undefined : templateFor(next, KEY.path, template) }],
    1,
  );
}

/** A mailbox of so many, of which the last `added` are new. */
function listed(count: number, added: number): ListedMessages {
  const all = Array.from({ length: count }, (_, index) => asUid(index + 1));
  const fresh = all.slice(count - added);
  return {
    uidValidity,
    uidNext: count + 1,
    server: 'bench:143',
    uids: all,
    added: {
      uids: fresh,
      octets: fresh.map((uid) => 2_000 + ((uid * 7919) % 60_000)),
      arrivals: fresh.map((uid) => 1_700_000_000 + uid * 60),
    },
  };
}

async function pollCosts(): Promise<void> {
  await using imap = await ImapServer.start({ users: { alice: 'secret' } });
  const inbox = imap.mailbox('INBOX');
  const raw = Buffer.from('Subject: small\r\n\r\nsmall\r\n');
  for (let index = 0; index < MESSAGES; index += 1) inbox.append(raw);
  await using bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port }) });
  const cold = await timed(() => poll(bridge));
  const warm: number[] = [];
  const delta: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    warm.push(await timed(() => poll(bridge)));
    for (let index = 0; index < ADDED; index += 1) inbox.append(raw);
    delta.push(await timed(() => poll(bridge)));
  }
  console.log(
    `\na poll (login, STAT, UIDL, LIST, QUIT) through the program: first ${cold.toFixed(0)}, warm ${median(warm).toFixed(0)}, ${ADDED} new ${median(delta).toFixed(0)}`,
  );
  console.log(`cold : warm : delta = ${ratio(cold, median(warm))} : 1 : ${ratio(median(delta), median(warm))}`);
}

async function poll(bridge: BridgeProcess): Promise<void> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login('alice', 'secret');
  await client.command('STAT');
  await client.multiOctets('UIDL');
  await client.multiOctets('LIST');
  await client.command('QUIT');
  client.close();
}

function open(path: string): SqliteStore {
  return SqliteStore.open(path, { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

function ratio(one: number, other: number): string {
  return (one / other).toFixed(2);
}
