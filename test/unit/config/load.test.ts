import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { configFiles, configFromUpstreamUrl, defaultConfigPath, defaultStateDirectory, loadConfig } from '../../../src/config/load.ts';
import { ConfigError, describeFault } from '../../../src/errors.ts';

const HOST = '[upstream]\nhost = "imap.example.com"\n';
const EXAMPLES = join(import.meta.dirname, '../../../config');
const providers = readdirSync(EXAMPLES).filter((name) => name.endsWith('.toml') && name !== 'popbridge.toml');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array, mode = 0o640): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** The lines of a refusal, with DIR for the folder. */
function refusal(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map((fault) => describeFault(fault).replaceAll(folder, 'DIR'));
    throw error;
  }
  return [];
}

describe('paths', () => {
  test('a single file may hold everything', () => {
    const config = loadConfig({ paths: [write('mail.toml', `${HOST}[limits]\nsessions = 7\n[log]\nformat = "json"`)] });
    expect(config.upstreams.map(({ upstream }) => upstream.id)).toEqual(['mail']);
    expect(config.process).toMatchObject({ limits: { sessions: 7 }, log: { format: 'json' } });
  });

  test('a directory is read by name; popbridge.toml is about the process; the rest is not looked at', () => {
    write('b.toml', `${HOST}[login]\ndefault = true`);
    write('a.toml', `${HOST}[login]\ndomains = ["a.example"]`);
    write('popbridge.toml', '[limits]\nsessions = 7');
    write('notes.txt', 'x');
    write('.#a.toml', 'x');
    const config = loadConfig({ paths: [folder] });
    expect(config.upstreams.map(({ upstream }) => upstream.name)).toEqual(['a', 'b']);
    expect(config.process.limits.sessions).toBe(7);
    expect(configFiles([folder]).map((path) => basename(path))).toEqual(['a.toml', 'b.toml', 'popbridge.toml']);
  });

  test('several paths are one configuration; a file named twice is read once', () => {
    const a = write('a.toml', `${HOST}[[listen]]\naddress = "127.0.0.1:1"`);
    const b = write('b.toml', `${HOST}[[listen]]\naddress = "127.0.0.1:2"`);
    expect(loadConfig({ paths: [a, b, folder] }).upstreams).toHaveLength(2);
    write('b.toml', `${HOST}[log]`);
    expect(refusal(() => loadConfig({ paths: [a, b] }))).toEqual([
      'DIR/b.toml: log: is about the whole process; put it into popbridge.toml beside this file',
    ]);
  });

  test('a directory with one upstream keeps the tables of the process apart as well', () => {
    write('a.toml', `${HOST}[store]\nurl = "memory:"`);
    expect(refusal(() => loadConfig({ paths: [folder] }))).toEqual([
      'DIR/a.toml: store: is about the whole process; put it into popbridge.toml beside this file',
    ]);
  });

  test('the file is read anew at each call', () => {
    const path = write('a.toml', HOST);
    loadConfig({ paths: [path] });
    write('a.toml', HOST.replace('imap.', 'mail.'));
    expect(loadConfig({ paths: [path] }).upstreams[0]?.upstream.host).toBe('mail.example.com');
  });

  test('nothing there', () => {
    const missing = 'no such file or directory; give --config a file or a directory of *.toml';
    expect(refusal(() => loadConfig({ paths: [join(folder, 'x'), join(folder, 'y.toml')] }))).toEqual([
      `DIR/x: ${missing}`,
      `DIR/y.toml: ${missing}`,
    ]);
    expect(refusal(() => configFiles([join(folder, 'x')]))).toEqual([`DIR/x: ${missing}`]);
    expect(refusal(() => loadConfig({ paths: [folder] }))).toEqual(['DIR: holds no *.toml file; each upstream needs one']);
    write('popbridge.toml', '[log]');
    expect(refusal(() => loadConfig({ paths: [folder] }))).toEqual([
      'DIR: holds popbridge.toml alone; each upstream needs a file of its own beside it',
    ]);
  });

  test('only one popbridge.toml', () => {
    mkdirSync(join(folder, 'other'));
    write('other/popbridge.toml', '[log]');
    write('popbridge.toml', '[log]');
    write('a.toml', HOST);
    expect(refusal(() => loadConfig({ paths: [folder, join(folder, 'other/popbridge.toml')] }))).toEqual([
      'DIR/other/popbridge.toml: DIR/popbridge.toml is there already; only one popbridge.toml is allowed',
    ]);
  });
});

describe('faults', () => {
  test('all of all files, those between files too', () => {
    write('a.toml', `${HOST}port = 0`);
    write('b.toml', '[upstream\nhost = 1');
    write('c.toml', `${HOST}id = "a"`);
    write('d.toml', Buffer.from([0x23, 0xff]));
    write('popbridge.toml', '[log]\nlevle = "info"');
    const lines = refusal(() => loadConfig({ paths: [folder] }));
    expect(lines).toHaveLength(7);
    expect(lines.slice(0, 4)).toEqual([
      'DIR/a.toml: upstream.port: 0 is too small; at least 1',
      expect.stringMatching(/^DIR\/b\.toml: line 1, column \d+: [^\n]+$/),
      'DIR/d.toml: is not UTF-8 text',
      'DIR/popbridge.toml: log.levle: unknown key; did you mean "level"?',
    ]);
    expect(lines[4]).toMatch(/^DIR\/c\.toml: upstream\.id: "a" is the upstream of DIR\/a\.toml already/);
    expect(lines.slice(5).every((line) => line.includes('login.domains: is empty'))).toBe(true);
  });

  test('a byte order mark is none', () => {
    expect(loadConfig({ paths: [write('a.toml', `\uFEFF${HOST}`)] }).upstreams).toHaveLength(1);
  });

  test('files that are named must be there', () => {
    mkdirSync(join(folder, 'ca'));
    write('cert.pem', 'x');
    const path = write('a.toml', `${HOST}ca_file = "ca"\n[tls]\ncertificate_file = "cert.pem"\nkey_file = "key.pem"`);
    expect(refusal(() => loadConfig({ paths: [path] }))).toEqual([
      'DIR/a.toml: upstream.ca_file: DIR/ca: is a directory; give a file',
      'DIR/a.toml: tls.key_file: DIR/key.pem: no such file or directory',
    ]);
  });

  test('a key for secrets may be missing, as it is made when it is needed, but not its folder; and nobody else may read it', () => {
    const fault = (key: string): string[] =>
      refusal(() => loadConfig({ paths: [write('a.toml', `${HOST}[secrets]\nkey_file = "${key}"`)] }));
    expect(fault('new.key')).toEqual([]);
    expect(fault('nowhere/new.key')).toEqual(['DIR/a.toml: secrets.key_file: DIR/nowhere/new.key: there is no folder DIR/nowhere']);
    expect(fault('.')).toEqual([expect.stringMatching(/secrets\.key_file: .*: is a directory; give a file$/)]);
    write('open.key', 'x', 0o644);
    expect(fault('open.key')).toEqual([expect.stringContaining('others can use this secret (mode 0644)')]);
  });

  test('a key that others can use is refused; a certificate may be public', () => {
    write('cert.pem', 'x', 0o644);
    const key = write('key.pem', 'x', 0o644);
    const path = write('a.toml', `${HOST}[[listen]]\ncertificate_file = "cert.pem"\nkey_file = "key.pem"`, 0o644);
    expect(refusal(() => loadConfig({ paths: [path] }))).toEqual([
      'DIR/a.toml: listen[0].key_file: DIR/key.pem: others can use this secret (mode 0644); run: chmod o= DIR/key.pem',
    ]);
    chmodSync(key, 0o640);
    expect(loadConfig({ paths: [path] }).upstreams[0]?.listen[0]).toMatchObject({ security: 'starttls', keyFile: key });
  });

  test('a configuration that others can change is refused; others may read it', () => {
    const path = write('a.toml', HOST, 0o646);
    expect(refusal(() => loadConfig({ paths: [path] }))).toEqual(['DIR/a.toml: others can change this file; run: chmod o-w DIR/a.toml']);
    chmodSync(path, 0o644);
    expect(loadConfig({ paths: [path] }).upstreams).toHaveLength(1);
  });

  test('where only permission is missing, that is the cause', () => {
    const path = write('a.toml', HOST, 0);
    const denied = expect.objectContaining({ name: 'ConfigError', cause: expect.objectContaining({ code: 'EACCES' }) });
    asOrdinaryUser(() => expect(() => loadConfig({ paths: [path] })).toThrow(denied));
    const other = join(folder, 'x.toml');
    asOrdinaryUser(() =>
      expect(() => loadConfig({ paths: [path, other] })).toThrow(expect.not.objectContaining({ cause: expect.anything() })),
    );
  });
});

/** Root may read everything: as root, what follows is done as nobody. */
function asOrdinaryUser(action: () => void): void {
  chmodSync(folder, 0o755);
  if (process.geteuid?.() !== 0) {
    action();
    return;
  }
  process.seteuid?.(NOBODY);
  try {
    action();
  } finally {
    process.seteuid?.(0);
  }
}

const NOBODY = 65_534;

describe('--listen', () => {
  test('changes the address in every file and keeps what belongs to it', () => {
    const path = write('a.toml', `${HOST}[[listen]]\naddress = "127.0.0.1:1"\nallow = ["127.0.0.1"]\n[[listen]]\naddress = "127.0.0.1:2"`);
    const [file] = loadConfig({ paths: [path], listen: ['127.0.0.1:0', '[::1]:5'] }).upstreams;
    expect(file?.listen.map(({ name, allow }) => [name, allow])).toEqual([
      ['127.0.0.1:0', ['127.0.0.1']],
      ['[::1]:5', ['127.0.0.1']],
    ]);
  });

  test('makes files share the address', () => {
    write('a.toml', `${HOST}[[listen]]\naddress = "127.0.0.1:1"`);
    write('b.toml', `${HOST}[[listen]]\naddress = "127.0.0.1:2"`);
    write('popbridge.toml', '');
    expect(refusal(() => loadConfig({ paths: [folder], listen: ['127.0.0.1:0'] }))).toHaveLength(2);
  });

  test('a wrong one is a fault of the command line, said once', () => {
    const path = write('a.toml', HOST);
    expect(refusal(() => loadConfig({ paths: [path], listen: ['1110'] }))).toEqual([
      '--listen: "1110" is no address; write host:port or [::1]:port',
    ]);
  });
});

describe('--upstream', () => {
  test.each([
    ['imaps://imap.example.com', 'imap.example.com', 993, 'tls'],
    ['imaps://imap.example.com:1993/', 'imap.example.com', 1993, 'tls'],
    ['imap://IMAP.example.com', 'imap.example.com', 143, 'starttls'],
    ['imap+insecure://127.0.0.1:1143', '127.0.0.1', 1143, 'none'],
    ['imap+insecure://[::1]', '::1', 143, 'none'],
  ])('%s', (url, host, port, security) => {
    const { upstreams, process } = configFromUpstreamUrl(url);
    expect(upstreams[0]?.upstream).toMatchObject({ id: host, name: host, host, port, security });
    expect(upstreams[0]?.listen.map(({ name }) => name)).toEqual(['127.0.0.1:1110']);
    expect(process.store.url).toBe('sqlite:');
  });

  test('listens where --listen says', () => {
    const [file] = configFromUpstreamUrl('imaps://a.example', ['127.0.0.1:0']).upstreams;
    expect(file?.listen.map(({ port }) => port)).toEqual([0]);
    expect(refusal(() => configFromUpstreamUrl('imaps://a.example', ['x']))).toHaveLength(1);
  });

  test.each([
    ['imap.example.com', 'is no URL'],
    ['https://imap.example.com', 'has the unknown scheme "https"'],
    ['imaps://', 'names no host'],
    ['imaps://alice:geheim@a.example', 'holds a user name or a password'],
    ['imaps://alice@a.example', 'holds a user name or a password'],
    ['imaps://a.example/INBOX', 'holds more than host and port'],
    ['imaps://a.example?x=1', 'holds more than host and port'],
    ['imaps://a.example:0', 'upstream.port: 0 is too small'],
    ['imap+insecure://a.example', 'upstream.security: "none" would send passwords in clear to a.example'],
  ])('%s is refused', (url, problem) => {
    const [line, ...others] = refusal(() => configFromUpstreamUrl(url));
    expect(others).toEqual([]);
    expect(line).toContain(`--upstream: ${problem}`);
    expect(line).not.toContain('geheim');
  });
});

test('default paths', () => {
  const root = { uid: 0, env: { HOME: '/root', XDG_CONFIG_HOME: '/x' } };
  expect(defaultConfigPath(root)).toBe('/etc/popbridge');
  expect(defaultStateDirectory(root)).toBe('/var/lib/popbridge');
  const user = { uid: 1000, env: { HOME: '/home/a' } };
  expect(defaultConfigPath(user)).toBe('/home/a/.config/popbridge');
  expect(defaultStateDirectory(user)).toBe('/home/a/.local/state/popbridge');
  const xdg = { uid: 1000, env: { HOME: '/home/a', XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: 'relative' } };
  expect(defaultConfigPath(xdg)).toBe('/c/popbridge');
  expect(defaultStateDirectory(xdg)).toBe('/home/a/.local/state/popbridge');
  expect(defaultStateDirectory({ uid: 0, env: { STATE_DIRECTORY: '/var/lib/popbridge/a:/b' } })).toBe('/var/lib/popbridge/a');
});

describe('the examples', () => {
  test.each(providers)('%s is valid alone, and in a directory with popbridge.toml', (name) => {
    expect(refusal(() => loadConfig({ paths: [join(EXAMPLES, name)] }))).toEqual([]);
    for (const file of [name, 'popbridge.toml']) cpSync(join(EXAMPLES, file), join(folder, file));
    expect(loadConfig({ paths: [folder] }).upstreams).toHaveLength(1);
  });

  test('all of them are valid together', () => {
    expect(loadConfig({ paths: [EXAMPLES] }).upstreams).toHaveLength(providers.length);
  });

  test('popbridge.toml shows the defaults', () => {
    const alone = loadConfig({ paths: [join(EXAMPLES, 'generic.toml')] });
    expect(loadConfig({ paths: [EXAMPLES] }).process).toEqual(alone.process);
  });
});
