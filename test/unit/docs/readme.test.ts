/**
 * The documentation against the code: whoever adds a key, an error code, an event, an option or a dependency has to say so there, and what
 * is gone from the code may not stay.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { configKeys } from '../../../src/config/json-schema.ts';
import { LATER_KEYS } from '../../../src/config/not-built-yet.ts';
import { parseDocument } from '../../../src/config/parse-file.ts';
import { VERBS } from '../../../src/pop3/command.ts';
import { runBridge } from '../../support/bridge-process.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'] as const;
const PERMISSIVE = new Set(['MIT', 'MIT-0', 'ISC', '0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0']);
const MAX_RUNTIME_PACKAGES = 55;

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const readme = read('README.md');
const contributing = read('CONTRIBUTING.md');

/** Every group 1 of a pattern, each once. */
const all = (text: string, pattern: RegExp): string[] => [...new Set([...text.matchAll(pattern)].flatMap(([, found]) => found ?? []))];

/** What stands below a heading, down to the next one of the same or a higher level. */
function section(page: string, heading: string): string {
  const [, level = ''] = new RegExp(`^(#+) ${heading}$`, 'm').exec(page) ?? [];
  if (level === '') throw new Error(`no heading "${heading}"`);
  const [, rest = ''] = page.split(new RegExp(`^#+ ${heading}\n`, 'm'));
  const [text = ''] = rest.split(new RegExp(`^#{1,${level.length}} `, 'm'));
  return text;
}

/** Rows of the tables in a text, as cells; a bar within a cell is written `\|`. */
function rows(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|') && !/^\|[ |:-]+\|$/.test(line));
  return lines.map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

/** Without the quotation marks of code. */
const plain = (cell: string | undefined): string => (cell ?? '').replace(/^`(.*)`$/, '$1');

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => read(join('src', path)));

describe('configuration keys', () => {
  const documented = new Map(rows(section(readme, 'Configuration reference')).map(([key, value]) => [plain(key), plain(value)]));
  const keys = configKeys();

  test.for(keys.map((key) => [key.path, key] as const))('%s stands in the reference with its default', ([path, key]) => {
    expect([...documented.keys()]).toContain(path);
    if (key.default !== undefined) expect(documented.get(path)).toBe(key.default);
  });

  test('the reference has no other keys', () => {
    const paths = new Set(keys.map(({ path }) => path));
    expect([...documented.keys()].filter((key) => key !== 'key' && !paths.has(key))).toEqual([]);
  });

  test('what is not built yet is named as such', () => {
    const later = section(readme, 'Not yet');
    const named = ({ key }: (typeof LATER_KEYS)[number]): boolean =>
      later.includes(key.includes('.') ? `\`${key.replace('[]', '')}` : `[${key}]`);
    expect(LATER_KEYS.filter((row) => !named(row)).map(({ key }) => key)).toEqual([]);
  });
});

describe('examples in README', () => {
  const blocks = [...readme.matchAll(/^```toml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);

  test('there are some', () => expect(blocks.length).toBeGreaterThan(10));

  test.for(blocks)('are free of faults: %s', (block) => {
    const text = block.replace('"…"', `"${'0'.repeat(64)}"`);
    const whole = text.includes('[upstream]') ? text : `[upstream]\nhost = "imap.example.com"\n${text}`;
    const { faults } = parseDocument({ file: 'README.md', folder: '/', name: 'example', role: 'upstream', document: parseToml(whole) });
    expect(faults).toEqual([]);
  });
});

describe('provider notes', () => {
  const pages = section(readme, 'Provider notes')
    .split(/^(?=### )/m)
    .slice(1);

  test.for(pages.map((page) => [/^### (.*)$/m.exec(page)?.[1] ?? '', page] as const))(
    '%s: ends with what to type into an old program',
    ([, page]) => {
      const [last = ''] = page.trimEnd().split('\n\n').slice(-1);
      expect(rows(last).map(([setting]) => setting)).toEqual([
        'setting',
        'incoming server',
        'authentication',
        'user name',
        'password',
        'messages',
        'outgoing server (SMTP)',
      ]);
    },
  );

  test('are there for the providers that people have', () => {
    expect(pages).toHaveLength(8);
  });
});

describe('what a user may see', () => {
  const catalogue = read('src/errors.ts');
  const [, kinds = ''] = /export const UPSTREAM_FAILURE_KINDS = \[([^\]]+)\]/.exec(catalogue) ?? [];
  const codes = [
    ...all(catalogue, /'([A-Z]+(?:_[A-Z]+)+)'/g),
    ...all(kinds, /'([a-z-]+)'/g).map((kind) => `UPSTREAM_${kind.toUpperCase().replaceAll('-', '_')}`),
  ];

  test('the catalogue of errors is read rightly', () => {
    expect(codes).toEqual(expect.arrayContaining(['AUTH_REFUSED', 'CONFIG_INVALID', 'BUG_INVARIANT', 'UPSTREAM_MESSAGE_GONE']));
  });

  test.for(codes)('error code %s is documented', (code) => {
    expect(section(readme, 'Failures')).toContain(`\`${code}\``);
  });

  test('error codes that are documented exist', () => {
    const documented = all(section(readme, 'Failures'), /`([A-Z]+(?:_[A-Z]+)+)`/g);
    expect(documented.filter((code) => !codes.includes(code))).toEqual([]);
  });

  test.for(all(read('src/pop3/reply-for-error.ts'), /\['?[\w/-]+'?, '([^']+)'\]/g))('the reply "%s" is documented', (text) => {
    expect(readme).toContain(text);
  });

  const used = all(sources.join('\n'), /\.(?:debug|info|warn|error)\(\s*'([a-z]+(?:-[a-z]+)*)'/g);
  const documentedEvents = rows(section(readme, 'Log events')).map(([event]) => plain(event));

  test('events are read rightly', () => expect(used).toEqual(expect.arrayContaining(['ready', 'session-end', 'delete-failed'])));

  test.for(used)('event %s is documented', (event) => {
    expect(documentedEvents).toContain(event);
  });

  test('events that are documented exist', () => {
    expect(documentedEvents.filter((event) => event !== 'event' && !used.includes(event))).toEqual([]);
  });

  test('every outcome of a session is documented', () => {
    const source = read('src/daemon/connection.ts') + read('src/daemon/session-tally.ts');
    const outcomes = all(source, /(?<=conclude\((?:.* \? )?|#cut\(|#isLoggedIn \? |'no QUIT' : )'([^']+)'/g);
    const some = ['taken over', 'shutdown', 'idle', 'QUIT', 'QUIT, failed', 'closed before login', 'no QUIT', 'lost'];
    expect(outcomes).toEqual(expect.arrayContaining(some));
    expect(outcomes.filter((outcome) => !readme.includes(`\`${outcome}\``))).toEqual([]);
  });

  test('every command is listed', () => {
    const [, list = ''] = /^Commands: ([A-Z, \n]+)\./m.exec(readme) ?? [];
    expect(list.split(/,\s+/).toSorted()).toEqual([...VERBS].toSorted());
  });

  test.for([[], ['serve'], ['check']])('every option of %j --help is documented', async (command) => {
    const { stdout } = await runBridge([...command, '--help']);
    const options = all(stdout, /(--[a-z][a-z-]+)/g);
    expect(options).toContain('--config');
    const documented = new Set(rows(section(readme, 'Command line')).flatMap(([option]) => /^`(--[a-z-]+)/.exec(option ?? '')?.[1] ?? []));
    expect(options.filter((option) => !documented.has(option))).toEqual([]);
  });
});

describe('dependencies', () => {
  const manifest = z
    .looseObject({ dependencies: z.record(z.string(), z.string()), devDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read('package.json')));
  const reasons = rows(section(contributing, 'Dependencies')).map(([name]) => plain(name));

  test.for([...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)])('%s has its line in CONTRIBUTING', (name) => {
    expect(reasons).toContain(name);
  });

  test('no other package has one', () => {
    const names = new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies), 'package']);
    expect(reasons.filter((name) => !names.has(name))).toEqual([]);
  });

  const locked = z
    .looseObject({
      packages: z.record(
        z.string(),
        z.looseObject({
          version: z.string(),
          dev: z.boolean().optional(),
          hasInstallScript: z.boolean().optional(),
          integrity: z.string().optional(),
          resolved: z.string().optional(),
        }),
      ),
    })
    .parse(JSON.parse(read('package-lock.json'))).packages;
  const runtime = Object.entries(locked).filter(([path, entry]) => path !== '' && entry.dev !== true);

  test('as many at run time as CONTRIBUTING says, not too many, and none that runs a script when it is installed', () => {
    expect(contributing).toContain(`There are ${runtime.length} runtime packages`);
    expect(runtime.length).toBeLessThanOrEqual(MAX_RUNTIME_PACKAGES);
    expect(runtime.filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => path)).toEqual([]);
  });

  test('each under a licence that CONTRIBUTING lists, and that asks for no more than to be named', () => {
    const licences = runtime.map(
      ([path]) => z.looseObject({ license: z.string() }).parse(JSON.parse(read(`${path}/package.json`))).license,
    );
    const counts = [...new Set(licences)].toSorted().map((licence) => `${licence} ${licences.filter((one) => one === licence).length}`);
    expect(contributing.replaceAll(/\s+/g, ' ')).toContain(`Licences: ${counts.join(', ')}.`);
    expect(licences.filter((licence) => !isPermissive(licence))).toEqual([]);
  });

  test.for([
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['MIT AND GPL-3.0-only', false],
    ['GPL-3.0-only', false],
    ['MITX', false],
  ] as const)('a licence "%s" asks for no more: %s', ([licence, expected]) => {
    expect(isPermissive(licence)).toBe(expected);
  });

  test('each, those for development too, pinned by its digest, and from no address of its own', () => {
    const all = Object.entries(locked).filter(([path]) => path !== '');
    const loose = all.filter(([, { integrity, resolved }]) => integrity === undefined || resolved !== undefined);
    expect(loose.map(([path]) => path)).toEqual([]);
  });

  test('there is one pino', () => {
    expect(runtime.filter(([path]) => path.endsWith('node_modules/pino')).map(([path]) => path)).toEqual(['node_modules/pino']);
  });
});

describe.for(PAGES)('links in %s', (page) => {
  const links = all(read(page), /\]\(([^)\s]+)\)/g).filter((link) => !/^[a-z]+:/.test(link));

  test('lead to files and headings that exist', () => {
    expect(links.filter((link) => !leadsSomewhere(page, link))).toEqual([]);
  });
});

/** An SPDX expression without nested parentheses: one alternative is enough, and all of its parts. */
function isPermissive(licence: string): boolean {
  const alternatives = licence.replaceAll(/[()]/g, '').split(' OR ');
  return alternatives.some((alternative) => alternative.split(' AND ').every((one) => PERMISSIVE.has(one)));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? page : join(dirname(page), file);
  if (!existsSync(join(ROOT, target))) return false;
  return anchor === undefined || all(read(target), /^#+ (.+)$/gm).some((heading) => anchorOf(heading) === anchor);
}

/** As the usual renderers make it: lower case, letters, digits and hyphens. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
