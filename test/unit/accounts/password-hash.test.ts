import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashPassword, matchingHash } from '../../../src/accounts/password-hash.ts';
import { PasswordChecker } from '../../../src/accounts/password-checker.ts';
import { formatScryptHash, parseScryptHash } from '../../../src/config/scrypt-hash.ts';

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
    ['$2y$10$abcdefghijklmnopqrstuv', 'is of another kind'],
    ['correct horse', 'is the password itself'],
  ])('%s is no hash: it %s', (text) => {
    expect(parseScryptHash(text)).toBeUndefined();
  });

  test('hashes are written as they are read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 32 }), fc.uint8Array({ minLength: 32, maxLength: 64 }), (salt, hash) => {
        const parsed = { ln: 14, r: 8, p: 5, salt: Buffer.from(salt), hash: Buffer.from(hash) };
        expect(parseScryptHash(formatScryptHash(parsed))).toEqual(parsed);
      }),
    );
  });
});

describe('checking passwords', () => {
  test('knows again what it has checked, right or wrong, under the same hashes alone', async () => {
    const checker = new PasswordChecker();
    const [first, second] = [await hashPassword('first one'), await hashPassword('second one')];
    for (let times = 0; times < 2; times += 1) {
      expect(await checker.matching('first one', [first])).toBe(0);
      expect(await checker.matching('first one', [second, first])).toBe(1);
      expect(await checker.matching('first one', [second])).toBe(-1);
      expect(await checker.matching('first one', [])).toBe(-1);
    }
  });

  test('goes on when many come at once', async () => {
    const checker = new PasswordChecker();
    const hash = await hashPassword('guess 3');
    const found = await Promise.all(Array.from({ length: 8 }, (_, index) => checker.matching(`guess ${index}`, [hash])));
    expect(found).toEqual([-1, -1, -1, 0, -1, -1, -1, -1]);
  });
});
