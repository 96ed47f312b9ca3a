/** The archive of `npm run package`: it holds all that a machine without Node needs, and it starts. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { ImapServer } from '../support/imap-server.ts';
import { patience } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGE_MS = 180_000;

let folder: string;
let program: string;

describe('the archive', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-package-'));
    const packed = spawnSync(process.execPath, [join(ROOT, '.ci/package.ts')], { cwd: ROOT, encoding: 'utf8' });
    expect(packed.status, packed.stderr).toBe(0);
    const [archive = ''] = globSync(join(ROOT, 'out/popbridge-*.tar.gz'));
    expect(spawnSync('tar', ['-C', folder, '-xzf', archive]).status).toBe(0);
    program = join(folder, 'popbridge/bin/popbridge');
  }, patience(PACKAGE_MS));

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('holds the program, units, examples and documents', () => {
    const wanted = [
      'dist/main.js',
      'bin/node',
      'systemd/popbridge.service',
      'systemd/popbridge@.service',
      'config/gmail.toml',
      'README.md',
      'LICENSE',
    ];
    for (const path of wanted) expect(existsSync(join(folder, 'popbridge', path)), path).toBe(true);
    expect(packagesIn(join(folder, 'popbridge'))).toEqual(runtimePackages());
    const unit = readFileSync(join(folder, 'popbridge/systemd/popbridge.service'), 'utf8');
    expect(unit).toContain('/opt/popbridge/bin/popbridge serve');
  });

  test("starts without the system's Node and serves mail", async () => {
    await using imap = await ImapServer.start();
    imap.mailbox('INBOX').append('Subject: packed\r\n\r\nbody\r\n');
    const config = join(folder, 'packed.toml');
    writeFileSync(config, bridgeConfig({ imapPort: imap.port }));
    const child = spawn(program, ['serve', '--config', config, '--state', join(folder, 'state')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: '/usr/bin:/bin' },
    });
    let port = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const event = JSON.parse(line) as { event: string; port?: number };
      port = event.port ?? port;
      if (event.event === 'ready') break;
    }
    // The launcher has become the program.
    expect(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8').split('\0')).toContain('--disable-sigusr1');
    const client = await PopDialogue.connect(port);
    await client.login('alice', 'secret');
    expect((await client.retrieve(1)).toString()).toContain('Subject: packed');
    await client.command('QUIT');
    child.kill('SIGTERM');
    expect((await once(child, 'exit'))[0]).toBe(0);
  });
});

/** Paths of the packages that are there, nested ones too. */
function packagesIn(root: string): string[] {
  const found = globSync('**/node_modules/{*,@*/*}/package.json', { cwd: root });
  return found.map((path) => path.slice(0, -'/package.json'.length)).toSorted();
}

/** As the lockfile has them. */
function runtimePackages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return Object.keys(packages)
    .filter((path) => path !== '' && packages[path]?.dev !== true)
    .toSorted();
}
