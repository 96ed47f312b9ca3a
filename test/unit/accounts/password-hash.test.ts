import { scrypt, type ScryptOptions } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { holds } from '../../support/holds.ts';
import { costsOf, hashPassword, matchingHash, mostCosts } from '../../../src/accounts/password-hash.ts';
import { PasswordChecker } from '../../../src/accounts/password-checker.ts';
import { formatScryptHash, parseScryptHash } from '../../../src/config/scrypt-hash.ts';
import { FakeClock } from '../../support/fake-clock.ts';

vi.mock('node:crypto', { spy: true });

/** `scrypt('password', 'NaCl', N=1024, r=8, p=16, 64)` of RFC 7914 section 12, its salt written longer. */
const RFC_HASH = Buffer.from(
  'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
  'hex',
);

describe('app passwords', () => {
  test('match their own hash, and no other', async () => {
    const hash = await hashPassword('correct horse');
    expect(hash).toMatch(/^\$scrypt\$ln=14,r=8,p=5\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await matchingHash('correct horse', [hash])).toBe(0);
    expect(await matchingHash('correct horsf', [hash])).toBe(-1);
    expect(await matchingHash('', [])).toBe(-1);
  });

  test('of several devices are told apart, also where they share a salt', async () => {
    const first = await hashPassword('first one');
    const second = await hashPassword('second one', first);
    const third = await hashPassword('third one');
    expect(second.split('$')[3]).toBe(first.split('$')[3]);
    expect(await matchingHash('second one', [first, second, third])).toBe(1);
    expect(await matchingHash('third one', [first, second, third])).toBe(2);
    expect(await matchingHash('fourth one', [first, second, third])).toBe(-1);
  });

  test('are the same however the keyboard composes them', async () => {
    expect(await matchingHash('pa\u0308ss', [await hashPassword('p\u00e4ss')])).toBe(0);
  });

  test('are verified as RFC 7914 has it', async () => {
    const salt = Buffer.from('NaCl');
    const text = `$scrypt$ln=10,r=8,p=16$${salt.toString('base64').replaceAll('=', '')}$${RFC_HASH.toString('base64').replaceAll('=', '')}`;
    // Too short a salt for us: what is not a hash matches nothing.
    expect(parseScryptHash(text)).toBeUndefined();
    expect(await matchingHash('password', [text])).toBe(-1);
  });

  test.each([
    ['$scrypt$ln=25,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'takes 4 GiB'],
    ['$scrypt$ln=14,r=8,p=99$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'takes seconds'],
    ['$scrypt$ln=0,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'costs nothing'],
    ['$scrypt$ln=10,r=8,p=16$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'is soon guessed'],
    ['$2y$10$abcdefghijklmnopqrstuv', 'is of another kind'],
    ['correct horse', 'is the password itself'],
  ])('%s is no hash: it %s', (text) => {
    expect(parseScryptHash(text)).toBeUndefined();
  });

  test('hashes are written as they are read', () => {
    holds(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 32 }), fc.uint8Array({ minLength: 32, maxLength: 64 }), (salt, hash) => {
        const parsed = { ln: 14, r: 8, p: 5, salt: Buffer.from(salt), hash: Buffer.from(hash) };
        expect(parseScryptHash(formatScryptHash(parsed))).toEqual(parsed);
      }),
    );
  });
});

const ALICE = { upstream: 'mail', user: 'alice' };
const OURS = { ln: 14, r: 8, p: 5 };
const DEARER = { ln: 15, r: 8, p: 1 };
const BY = { address: '127.0.0.1', signal: new AbortController().signal };
const checkerOf = (): PasswordChecker => new PasswordChecker(new FakeClock());

/** N, r and p of each derivation since the mark. */
const costsSince = (mark: number): string[] =>
  vi
    .mocked(scrypt)
    .mock.calls.slice(mark)
    .map((call) => call.find((one): one is ScryptOptions => typeof one === 'object' && 'N' in one))
    .map((options) => `${options?.N},${options?.r},${options?.p}`)
    .sort();

describe('checking passwords', () => {
  test('takes the same work for users that there are and for those that there are not, whatever their hashes cost', async () => {
    const checker = checkerOf();
    const dear = formatScryptHash({ ...DEARER, salt: Buffer.alloc(16, 1), hash: Buffer.alloc(32) });
    const hashes = [await hashPassword('first one'), await hashPassword('second one')];
    const declared = [hashes, hashes.slice(1), [dear]];
    const atLeast = mostCosts(declared.map(costsOf));
    expect(atLeast).toEqual([OURS, OURS, DEARER]);
    const work = async (user: string, password: string, of: readonly string[]): Promise<string[]> => {
      const mark = vi.mocked(scrypt).mock.calls.length;
      await checker.matching({ of: { upstream: 'mail', user }, password, hashes: of, atLeast, by: BY });
      return costsSince(mark);
    };
    const all = ['16384,8,5', '16384,8,5', '32768,8,1'];
    // What was tried for one that does not exist is no quicker to answer for another.
    expect(await work('nobody', 'guess', [])).toEqual(all);
    expect(await work('nobody else', 'guess', [])).toEqual(all);
    expect(await work('alice', 'guess', hashes)).toEqual(all);
    expect(await work('bob', 'guess', hashes.slice(1))).toEqual(all);
    expect(await work('bob', 'second one', hashes.slice(1))).toEqual(all);
    expect(await work('carol', 'guess', [dear])).toEqual(all);
    expect(costsOf([...hashes, await hashPassword('third one', hashes[0])])).toEqual([OURS, OURS]);
    expect(mostCosts([])).toEqual([OURS]);
  });

  test('knows again what it has checked, right or wrong, under the same hashes alone', async () => {
    const checker = checkerOf();
    const [first, second] = [await hashPassword('first one'), await hashPassword('second one')];
    const matching = (...hashes: readonly string[]): Promise<number> =>
      checker.matching({ of: ALICE, password: 'first one', hashes, atLeast: [OURS], by: BY });
    for (let times = 0; times < 2; times += 1) {
      expect(await matching(first)).toBe(0);
      expect(await matching(second, first)).toBe(1);
      expect(await matching(second)).toBe(-1);
      expect(await matching()).toBe(-1);
    }
  });

  test('goes on when many come at once', async () => {
    const checker = checkerOf();
    const hash = await hashPassword('guess 3');
    const found = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        checker.matching({ of: ALICE, password: `guess ${index}`, hashes: [hash], atLeast: [OURS], by: BY }),
      ),
    );
    expect(found).toEqual([-1, -1, -1, 0, -1, -1, -1, -1]);
  });
});
