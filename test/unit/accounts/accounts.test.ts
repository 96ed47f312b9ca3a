/** Who is let in, whatever else fails. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Accounts } from '../../../src/accounts/accounts.ts';
import { hashPassword } from '../../../src/accounts/password-hash.ts';
import { StoreError } from '../../../src/errors.ts';
import { SqliteAccountStore } from '../../../src/store/sqlite-account-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const ALICE = { upstream: 'mail', user: 'alice' };
const NOW = 1_700_000_000;
const NOBODY = { address: '', signal: new AbortController().signal };
const unused = (): never => {
  throw new Error('unused');
};
const UNUSED = { current: unused, after: unused, grant: unused, accepted: unused, refused: unused, signIn: unused };

let store: SqliteAccountStore;
let accounts: Accounts;

beforeEach(async () => {
  store = new SqliteAccountStore(':memory:');
  const clock = new FakeClock(NOW * 1000);
  accounts = new Accounts({
    store,
    clock,
    box: () => undefined,
    machine: { variables: {}, killGroup: () => {} },
    declared: () => [],
    tokens: UNUSED,
  });
  const device = { name: 'phone', hash: await hashPassword('correct horse'), createdAt: NOW, usedAt: 0 };
  await store.addAccount({ ...ALICE, upstreamUser: 'alice', kind: 'password', createdAt: NOW }, [device], []);
});

afterEach(() => store[Symbol.asyncDispose]());

const lastUse = async (): Promise<number | undefined> => (await store.devices(ALICE))[0]?.usedAt;

test('a device that logs in is noted, at most once an hour', async () => {
  await accounts.prove(ALICE, 'correct horse', NOBODY);
  expect(await lastUse()).toBe(NOW);
  await store.noteUse(ALICE, 'phone', NOW - 3_599);
  await accounts.prove(ALICE, 'correct horse', NOBODY);
  expect(await lastUse()).toBe(NOW - 3_599);
});

test('a disk on which that can not be noted keeps nobody out', async () => {
  store.noteUse = () => Promise.reject(new StoreError('STORE_FAILED', 'the disk is full'));
  expect(await accounts.prove(ALICE, 'correct horse', NOBODY)).toMatchObject({ upstreamUser: 'alice' });
  await expect(accounts.prove(ALICE, 'correct horsf', NOBODY)).rejects.toMatchObject({ code: 'AUTH_REFUSED' });
});
