/**
 * `npm run package`: makes out/popbridge-VERSION-linux-ARCH.tar.gz, which brings its own Node and is installed by `tar -C /opt -xzf`.
 *
 * Needs a checkout after `npm ci` and changes nothing in it but out/. To try an archive without /opt:
 *   tar -C "$folder" -xzf out/popbridge-*.tar.gz && env -i PATH=/usr/bin:/bin "$folder/popbridge/bin/popbridge" --version
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const out = join(root, 'out');
const stage = join(out, 'stage', 'popbridge');

/** The option keeps Node from opening a debugger's port on SIGUSR1 even before the program's own listener is there. */
const LAUNCHER = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/node" --disable-sigusr1 "$here/../dist/main.js" "$@"
`;
/** Whatever the umask of the checkout: readable for the service's user, writable for root alone. */
const TAR_OPTIONS = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mode=u+rwX,go+rX,go-w'];

rmSync(join(out, 'stage'), { recursive: true, force: true });
mkdirSync(join(stage, 'bin'), { recursive: true });
buildProgram();
installProductionModules();
addRuntime();
for (const name of ['systemd', 'config', 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE']) addFromCheckout(name);
const archive = join(out, `popbridge-${version()}-${process.platform}-${process.arch}.tar.gz`);
const epoch = process.env['SOURCE_DATE_EPOCH'];
run('tar', [...TAR_OPTIONS, ...(epoch === undefined ? [] : [`--mtime=@${epoch}`]), '-C', join(out, 'stage'), '-czf', archive, 'popbridge']);
rmSync(join(out, 'stage'), { recursive: true });
say(`${archive} (${Math.round(statSync(archive).size / 1e6)} MB)`);

/** Not a copy of dist/, which may be older than the sources or hold what they no longer have. */
function buildProgram(): void {
  run(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json', '--outDir', join(stage, 'dist')]);
}

function installProductionModules(): void {
  const borrowed = ['package-lock.json', '.npmrc'];
  for (const name of ['package.json', ...borrowed]) copyFileSync(join(root, name), join(stage, name));
  run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--loglevel=error'], stage);
  for (const name of borrowed) rmSync(join(stage, name));
}

function addRuntime(): void {
  const runtime = join(root, 'node_modules/node/bin/node');
  if (!existsSync(runtime)) fail('no Node runtime in node_modules/node; run npm ci without --ignore-scripts');
  copyFileSync(runtime, join(stage, 'bin/node'));
  writeFileSync(join(stage, 'bin/popbridge'), LAUNCHER);
  for (const name of ['node', 'popbridge']) chmodSync(join(stage, 'bin', name), 0o755);
}

function addFromCheckout(name: string): void {
  if (existsSync(join(root, name))) cpSync(join(root, name), join(stage, name), { recursive: true });
  else say(`without ${name}, which does not exist yet`);
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest && typeof manifest.version === 'string')
    return manifest.version;
  return fail('package.json has no version');
}

function run(command: string, args: readonly string[], cwd = root): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) fail(`${command} failed${error === undefined ? '' : `: ${error.message}`}`);
}

function fail(message: string): never {
  process.stderr.write(`package: ${message}\n`);
  process.exit(1);
}

function say(line: string): void {
  process.stdout.write(`package: ${line}\n`);
}
