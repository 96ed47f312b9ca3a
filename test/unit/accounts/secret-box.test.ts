import fc from 'fast-check';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { SecretBox } from '../../../src/accounts/secret-box.ts';
import { addKey, dropOldKeys, readKeys } from '../../../src/accounts/secret-key.ts';

const [older, newer] = [randomBytes(32), randomBytes(32)];
const context = ['mail', 'alice', 'password'];

describe('sealed secrets', () => {
  test('are opened as they were sealed, whatever they are', () => {
    const box = new SecretBox([older]);
    holds(fc.property(fc.string({ unit: 'grapheme' }), (secret) => box.open(box.seal(secret, context), context) === secret));
  });

  test('differ each time, and show nothing', () => {
    const box = new SecretBox([older]);
    const [one, two] = [box.seal('correct horse', context), box.seal('correct horse', context)];
    expect(Buffer.from(one).equals(Buffer.from(two))).toBe(false);
    expect(Buffer.from(one).includes('horse')).toBe(false);
  });

  test('can not be put in the place of another, nor opened with another key', () => {
    const sealed = new SecretBox([older]).seal('correct horse', context);
    const refused = expect.objectContaining({ code: 'SECRETS_UNREADABLE' });
    expect(() => new SecretBox([older]).open(sealed, ['mail', 'bob', 'password'])).toThrow(refused);
    expect(() => new SecretBox([older]).open(sealed, ['mail', 'alice', 'tokens'])).toThrow(refused);
    expect(() => new SecretBox([newer]).open(sealed, context)).toThrow(refused);
    expect(() => new SecretBox([]).open(sealed, context)).toThrow(refused);
  });

  test('are refused when a single bit of them is another', () => {
    const box = new SecretBox([older]);
    const sealed = Buffer.from(box.seal('correct horse', context));
    for (let at = 0; at < sealed.length * 8; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
      expect(() => box.open(changed, context)).toThrow(expect.objectContaining({ code: 'SECRETS_UNREADABLE' }));
    }
    expect(() => box.open(sealed.subarray(0, 20), context)).toThrow(expect.objectContaining({ code: 'SECRETS_UNREADABLE' }));
  });

  test('of an older key are still opened, and known as such', () => {
    const sealed = new SecretBox([older]).seal('correct horse', context);
    const box = new SecretBox([newer, older]);
    expect(box.open(sealed, context)).toBe('correct horse');
    expect(box.isCurrent(sealed)).toBe(false);
    expect(box.isCurrent(box.seal('correct horse', context))).toBe(true);
  });
});

describe('the key', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-key-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const places = (variables: Record<string, string> = {}, configured?: string) => ({ configured, stateDirectory: folder, variables });

  test('is made in the state directory when it is first needed, for its owner alone', () => {
    const none = readKeys(places());
    expect(none.keys).toEqual([]);
    const made = addKey(none);
    expect(statSync(join(folder, 'secrets.key')).mode & 0o777).toBe(0o600);
    expect(readKeys(places()).keys).toEqual(made.keys);
  });

  test('stays in the file beside a new one until nothing needs it', () => {
    const [before] = readKeys(places()).keys;
    const both = addKey(readKeys(places()));
    expect(readKeys(places()).keys).toEqual([both.keys[0], before]);
    dropOldKeys(both);
    expect(readKeys(places()).keys).toEqual([both.keys[0]]);
  });

  test('is taken from a configured file, else from a systemd credential, else from the environment; one that was made before still opens', () => {
    const { keys: former, file: formerFile } = readKeys(places());
    const write = (name: string, key: Buffer): string => {
      const path = join(folder, name);
      writeFileSync(path, key.toString('base64'), { mode: 0o600 });
      return path;
    };
    const configured = write('configured.key', older);
    write('popbridge.key', newer);
    const third = randomBytes(32);
    const variables = { CREDENTIALS_DIRECTORY: folder, POPBRIDGE_SECRETS_KEY: third.toString('base64') };
    expect(readKeys(places(variables, configured))).toMatchObject({
      keys: [older, ...former],
      source: configured,
      file: configured,
      formerFile,
    });
    expect(readKeys(places(variables))).toMatchObject({ keys: [newer, ...former], file: undefined });
    expect(readKeys(places({ POPBRIDGE_SECRETS_KEY: third.toString('base64') }))).toMatchObject({
      keys: [third, ...former],
      source: 'POPBRIDGE_SECRETS_KEY',
    });
    expect(() => addKey(readKeys(places(variables)))).toThrow(/holds no key that popbridge may change/);
    dropOldKeys(readKeys(places(variables)));
    expect(readKeys(places())).toMatchObject({ keys: [], file: formerFile });
  });

  test('that others can read, or that is none, is an error that says what to do and shows nothing of it', () => {
    const path = join(folder, 'bad.key');
    writeFileSync(path, `${older.toString('base64')}\n`, { mode: 0o644 });
    chmodSync(path, 0o644);
    expect(() => readKeys(places({}, path))).toThrow(`${path}: others can use this secret (mode 0644); run: chmod o= ${path}`);
    expect(() => readKeys(places({}, folder))).toThrow(`${folder}: is not a file`);
    const nowhere = join(folder, 'none', 'a.key');
    expect(() => addKey(readKeys(places({}, nowhere)))).toThrow(`${nowhere}: its folder does not exist`);
    writeFileSync(path, 'too short');
    chmodSync(path, 0o600);
    expect(() => readKeys(places({}, path))).toThrow(/bad\.key: is no key; must hold 32 octets in base64, one key a line/);
    expect(readFileSync(path, 'utf8')).toBe('too short');
  });
});
