/** The units as shipped: systemd accepts them, and the sandbox is as tight as it is meant to be. No service manager has to run for that. */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { peer, describeWithPeers } from '../support/peers/peers.ts';
import { NotifyReceiver } from './notify-receiver.ts';
import { patience } from '../support/patience.ts';

const shipped = join(import.meta.dirname, '../../systemd');
const run = promisify(execFile);
const PROGRAM = '/opt/popbridge/bin/popbridge';

/** `systemd-analyze security` counts in tenths: 15 is an exposure of 1.5. */
const MOST_EXPOSURE = 15;

describeWithPeers(['systemd-analyze'], 'the systemd units', () => {
  const analyze = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await run(peer('systemd-analyze').path ?? '', args, {
      timeout: patience(20_000),
      env: { ...process.env, LC_ALL: 'C' },
    });
    return stdout + stderr;
  };
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'popbridge-units-'));
    await writeFile(join(folder, 'program'), '#!/bin/sh\n');
    await chmod(join(folder, 'program'), 0o755);
    for (const unit of ['popbridge.service', 'popbridge@.service']) {
      const text = await readFile(join(shipped, unit), 'utf8');
      // Neither the package nor procps need be installed for this test, and a command that is not there is a fault.
      await writeFile(
        join(folder, unit),
        text.replaceAll(PROGRAM, join(folder, 'program')).replaceAll('/bin/kill', join(folder, 'program')),
      );
    }
    await copyFile(join(folder, 'popbridge@.service'), join(folder, 'popbridge@example.service'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test.for(['popbridge.service', 'popbridge@example.service'])('%s has no fault that systemd knows of', async (unit) => {
    const complaints = (await analyze('verify', '--man=no', join(folder, unit))).split('\n').filter((line) => line.includes('popbridge'));
    expect(complaints).toEqual([]);
  });

  test.for(['popbridge.service', 'popbridge@example.service'])('%s leaves little exposed', async (unit) => {
    const report = await analyze('security', '--offline=yes', `--threshold=${MOST_EXPOSURE}`, join(folder, unit));
    expect(report).toContain('Overall exposure level');
  });
});

test.for(['popbridge.service', 'popbridge@.service'])(
  '%s starts the packaged program, and not again after errors a restart can not mend',
  async (unit) => {
    const text = await readFile(join(shipped, unit), 'utf8');
    expect(text).toMatch(new RegExp(`^ExecStart=${PROGRAM} serve --config /etc/popbridge`, 'm'));
    expect(text).toMatch(/^RestartPreventExitStatus=64 77 78$/m);
    expect(text).toMatch(/^Type=notify$/m);
    // V8 does not start with it.
    expect(text).not.toMatch(/^MemoryDenyWriteExecute=/m);
  },
);

test('the template differs from the service in nothing but the instance', async () => {
  const [service, template] = await Promise.all(
    ['popbridge.service', 'popbridge@.service'].map((unit) => readFile(join(shipped, unit), 'utf8')),
  );
  const settings = (text = ''): readonly string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const withoutInstance = settings(template).map((line) => line.replace(' %i)', ')').replace('/%i.toml', '').replace('/%i', ''));
  expect(withoutInstance).toEqual(settings(service));
});

describeWithPeers(['python3', 'systemd-notify'], 'the receiver of notifications', () => {
  test('hears what systemd-notify tells a service manager', async () => {
    await using receiver = await NotifyReceiver.start();
    const env = { ...process.env, NOTIFY_SOCKET: receiver.path };
    await run(peer('systemd-notify').path ?? '', ['--ready', '--status=at your service'], { env, timeout: patience(10_000) });
    await receiver.waitFor('READY=1');
    expect(receiver.messages.join('\n')).toContain('STATUS=at your service');
  });
});
