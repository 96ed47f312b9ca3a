/** Secrets in files that others could read: the built program does not start with them, says what to run, and shows nothing of them. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BridgeProcess, runBridge, type ProgramResult } from '../support/bridge-process.ts';
import { makeCertificates } from '../support/peers/certificates.ts';

const HASH = '$scrypt$ln=15,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$KuqZGHIDRcLnaxTJtM7gHrnsFRkHFcpOScyWrcSKPQc';
const KEY = Buffer.alloc(32, 7).toString('base64');

const folder = mkdtempSync(join(tmpdir(), 'popbridge-secrets-'));
const config = join(folder, 'test.toml');
const state = join(folder, 'state');
const at = (name: string): string => join(folder, name);

/** With their keys in the configuration. */
const SECRET_FILES = {
  'key.pem': 'tls.key_file',
  'upstream-password': 'account[0].upstream_password_file',
  'client-secret': 'oauth.client_secret_file',
  'given.key': 'secrets.key_file',
} as const;
const CONTENTS = ['password of alice upstream', 'secret of this client', KEY];

beforeAll(async () => {
  await makeCertificates(folder);
  for (const [name, text] of [
    ['upstream-password', `${CONTENTS[0]}\n`],
    ['client-secret', `${CONTENTS[1]}\n`],
    ['given.key', `${KEY}\n`],
  ] as const)
    writeFileSync(at(name), text, { mode: 0o600 });
});

afterAll(() => rmSync(folder, { recursive: true }));

function configure(...lines: readonly string[]): void {
  const text = [
    '[upstream]',
    'host = "127.0.0.1"',
    'security = "none"',
    '[[listen]]',
    'address = "127.0.0.1:0"',
    '[tls]',
    'certificate_file = "cert.pem"',
    'key_file = "key.pem"',
    '[login]',
    'mode = "accounts"',
    '[[account]]',
    'user = "alice"',
    `password_hashes = ["${HASH}"]`,
    'upstream_password_file = "upstream-password"',
    '[oauth]',
    'client_id = "popbridge"',
    'client_secret_file = "client-secret"',
    'issuer = "https://127.0.0.1:1"',
    ...lines,
    '',
  ];
  writeFileSync(config, text.join('\n'), { mode: 0o600 });
}

const check = (): Promise<ProgramResult> => runBridge(['check', '--config', config]);
const serve = (): Promise<ProgramResult> => runBridge(['serve', '--config', config, '--state', state]);

function expectNoSecret({ stdout, stderr }: ProgramResult): void {
  for (const secret of CONTENTS) expect(stdout + stderr).not.toContain(secret);
}

describe('secrets that others can read', () => {
  test('are all told at once, each with its key and what to run: exit 78, and nothing is started', async () => {
    configure('[secrets]', 'key_file = "given.key"');
    for (const name of Object.keys(SECRET_FILES)) chmodSync(at(name), 0o604);
    const lines = Object.entries(SECRET_FILES).map(
      ([name, key]) => `popbridge: ${config}: ${key}: ${at(name)}: others can use this secret (mode 0604); run: chmod o= ${at(name)}`,
    );
    for (const run of [check, serve]) {
      const result = await run();
      expect(result).toMatchObject({ code: 78, stdout: '' });
      expect(result.stderr.trimEnd().split('\n').toSorted()).toEqual(lines.toSorted());
      expectNoSecret(result);
    }
    // Doing what the lines say mends all of it.
    for (const name of Object.keys(SECRET_FILES)) chmodSync(at(name), 0o600);
    expect(await check()).toMatchObject({ code: 0, stderr: '' });
  });

  test('in the state directory are not used either: exit 78, one line', async () => {
    configure();
    const key = join(state, 'secrets.key');
    mkdirSync(state, { mode: 0o700 });
    writeFileSync(key, `${KEY}\n`);
    chmodSync(key, 0o644);
    const ended = await BridgeProcess.start({ config: readFileSync(config, 'utf8'), folder }).then(
      (started) => started.stop(),
      (error: unknown) => String(error),
    );
    expect(ended).toBe(
      `Error: the bridge ended with 78: popbridge: ${key}: others can use this secret (mode 0644); run: chmod o= ${key}\n`,
    );
  });
});
