import { expect, test } from 'vitest';
import { contentsJson, exportLines, showLines } from '../../../src/cli/maildrop-text.ts';
import { messageRows, type MessageRow } from '../../../src/daemon/maildrop-rows.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import { keyOf, mapOf } from '../store/maps.ts';
import { goneRow, messageRow } from './message-rows.ts';

/** More than one call can take as arguments. */
const MANY = 150_000;

test('a large maildrop comes in parts, while others have their turn', async () => {
  await using store = SqliteStore.open(':memory:', { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });
  const next = mapOf(Array.from({ length: MANY }, (_, index) => index + 1));
  await store.saveMaps([{ key: keyOf('alice'), previous: undefined, next }], 1);
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  const rows: MessageRow[] = [];
  let largest = 0;
  for await (const some of messageRows(store, keyOf('alice').maildrop)) {
    largest = Math.max(largest, some.length);
    for (const row of some) rows.push(row);
  }
  clearInterval(timer);
  expect([rows.length, rows[0]?.uid, rows.at(-1)?.uid, largest]).toEqual([MANY, 1, MANY, 1024]);
  expect(turns).toBeGreaterThan(20);
});

test('a large maildrop is shown and exported', () => {
  const contents = { messages: Array.from({ length: MANY }, (_, uid) => messageRow({ uid })), gone: [goneRow()], promised: [] };
  expect([showLines(contents).length, exportLines(contents).length]).toEqual([MANY + 2, MANY + 2]);
});

test('contents as JSON come in pieces that are one value', () => {
  for (const messages of [[], [messageRow()], [messageRow(), messageRow({ uid: 2 })]]) {
    const contents = { messages, gone: [goneRow()], promised: [{ folder: 'INBOX', action: 'trash', uids: [1] }] };
    expect(JSON.parse([...contentsJson(contents)].join(''))).toEqual(contents);
  }
});
