/** ARCHITECTURE section 1: which way imports go, who may use what. The checker itself is tested on planted violations. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));
const MAX_LINES = 350;

interface Import {
  readonly from: string;
  readonly isType: boolean;
}

interface SourceFile {
  /** Relative to src/, with "/". */
  readonly path: string;
  readonly text: string;
}

/** Layers from the lowest; a file may import its own part and anything lower. */
const LAYERS: readonly (readonly string[])[] = [
  ['errors', 'clock'],
  ['maildrop'],
  ['pop3', 'imap', 'config'],
  ['ports', 'slices', 'keyed-hash'],
  ['upstream', 'store', 'accounts', 'admin', 'config-load'],
  ['daemon'],
  ['cli'],
  ['program'],
  ['main'],
];

/** What a lower layer shows to a part of the same height. ARCHITECTURE puts `ports` beside pop3 | imap: they may name imap's values. */
const PURE = new Set(['errors', 'clock', 'maildrop', 'pop3', 'imap', 'config', 'ports']);
/** Ports, and the pure encodings beside them. */
const PORTS = new Set([
  'upstream/upstream.ts',
  'store/store.ts',
  'store/account-store.ts',
  'store/segment.ts',
  'store/identity-segment.ts',
  'store/variable-length.ts',
]);
function partOf(path: string): string {
  if (PORTS.has(path)) return 'ports';
  if (!path.includes('/')) return path.replace(/\.ts$/, '');
  if (path === 'config/load.ts') return 'config-load';
  return path.slice(0, path.indexOf('/'));
}

function layerOf(part: string): number {
  const layer = LAYERS.findIndex((parts) => parts.includes(part));
  if (layer < 0) throw new Error(`src/${part} stands in no layer: add it to LAYERS`);
  return layer;
}

function importsOf(text: string): Import[] {
  const statements = /^\s*(?:import|export)\s+(type\s)?(?:([^'";]*?)\sfrom\s+)?'([^']+)'/gm;
  const found = [...text.matchAll(statements)].map(([, type, names = '', from = '']) => ({
    from,
    isType: type !== undefined || onlyTypes(names),
  }));
  const dynamic = [...text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)].map(([, from = '']) => ({ from, isType: false }));
  return [...found, ...dynamic];
}

/** True for `{ type A, type B }`. */
function onlyTypes(names: string): boolean {
  const inner = /^\{([^}]*)\}$/.exec(names.trim())?.[1];
  const listed = (inner ?? '').split(',').filter((name) => name.trim() !== '');
  return listed.length > 0 && listed.every((name) => /^\s*type\s/.test(name));
}

/** The text without comments, strings and templates, so that words in them count for nothing. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<![:\\])\/\/.*$/gm, ' ');
}

function target(path: string, from: string): string {
  return normalize(join(dirname(path), from)).replaceAll('\\', '/');
}

const NETWORK_PARTS = new Set(['daemon', 'upstream', 'admin', 'accounts']);
const PROCESS_FILES = new Set(['main.ts', 'program.ts']);

/** Every rule a file breaks, as a sentence. */
function violations({ path, text }: SourceFile): string[] {
  const problems: string[] = [];
  const part = partOf(path);
  const layer = layerOf(part);
  for (const { from, isType } of importsOf(text)) {
    if (from.startsWith('.')) {
      const other = partOf(target(path, from));
      const isAllowed = other === part || (layerOf(other) < layer && !isBeside(part, other)) || (part === 'ports' && PURE.has(other));
      if (!isAllowed) problems.push(`${path} imports ${target(path, from)}: ${part} may not know ${other}`);
    } else if (from === 'imapflow' && !isType && path !== 'upstream/imapflow-client.ts')
      problems.push(`${path} imports values of imapflow`);
    else if (from === 'node:sqlite' && !path.startsWith('store/') && path !== 'daemon/daemon-lock.ts')
      problems.push(`${path} imports node:sqlite`);
    else if (/^node:(?:net|tls)$/.test(from) && !NETWORK_PARTS.has(part)) problems.push(`${path} imports ${from}`);
    else if (/^(?:node:)?process$/.test(from)) problems.push(`${path} imports process`);
    else if (isPure(part) && isImpure(from)) problems.push(`${path} imports ${from}: ${part} is pure`);
  }
  const code = codeOf(text);
  if (!PROCESS_FILES.has(path) && /(?<![.\w$#])process\s*[.[]/.test(code)) problems.push(`${path} uses process`);
  if (/^\s*export\s+default\b|^\s*export\s*\{[^}]*\bas\s+default\b/m.test(code)) problems.push(`${path} has a default export`);
  if (spreadsIntoArguments(code)) problems.push(`${path} spreads into arguments`);
  const lines = text.replace(/\n$/, '').split('\n').length;
  if (lines > MAX_LINES) problems.push(`${path} has ${lines} lines`);
  return problems;
}

/** What is spread into arguments ends in a RangeError where it is long, as the messages of a large mailbox are. Three lists are known to be short. */
const SHORT_LISTS = /\(\.\.\.(?:ends\)|batch\.map\(|values\))/g;

function spreadsIntoArguments(code: string): boolean {
  const text = code.replaceAll(SHORT_LISTS, '(');
  const open: number[] = [];
  const spreads: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if ('([{'.includes(character)) open.push(at);
    if (text.startsWith('...', at) && text[open.at(-1) ?? -1] === '(' && /[\w$\])>]$/.test(text.slice(0, open.at(-1))))
      spreads.push(open.at(-1) ?? 0);
    if (!')]}'.includes(character)) continue;
    const start = open.pop();
    // Behind the parameters of a function there is its type, its body or an arrow.
    if (character === ')' && /^\s*(?:=>|:|\{)/.test(text.slice(at + 1, at + 20))) {
      while (spreads.length > 0 && spreads.at(-1) === start) spreads.pop();
    }
  }
  return spreads.length > 0;
}

function isPure(part: string): boolean {
  return part === 'pop3' || part === 'imap' || part === 'maildrop';
}

function isImpure(from: string): boolean {
  return from.startsWith('node:') || from === 'imapflow' || from === 'pino' || from === 'yargs';
}

/** pop3, imap and config do not know one another. */
function isBeside(part: string, other: string): boolean {
  return part !== other && layerOf(part) === layerOf(other);
}

/** Every module named on the way from a file through the others. */
function reached(start: string, texts: ReadonlyMap<string, string>): string[] {
  const paths = new Set([start]);
  const named: string[] = [];
  for (const path of paths) {
    for (const { from } of importsOf(texts.get(path) ?? '')) {
      named.push(from);
      if (from.startsWith('.')) paths.add(target(path, from));
    }
  }
  return named;
}

function sourceFiles(): SourceFile[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ path: relative('.', name).replaceAll('\\', '/'), text: readFileSync(join(SOURCE, name), 'utf8') }));
}

describe('the source', () => {
  test('keeps the rules of ARCHITECTURE section 1', () => {
    expect(sourceFiles().flatMap(violations)).toEqual([]);
  });

  test('has a pure schema: nothing it reaches touches a file or the network', () => {
    const texts = new Map(sourceFiles().map((file) => [file.path, file.text]));
    expect(reached('config/schema.ts', texts).filter((from) => /^node:(?:fs|net|tls|child_process)/.test(from))).toEqual([]);
    expect(
      reached(
        'a.ts',
        new Map([
          ['a.ts', "import './b.ts';"],
          ['b.ts', "import { a } from 'node:fs';"],
        ]),
      ),
    ).toEqual(['./b.ts', 'node:fs']);
  });

  test('is seen whole by this test', () => {
    const paths = sourceFiles().map((file) => file.path);
    expect(paths).toEqual(expect.arrayContaining(['main.ts', 'pop3/session.ts', 'upstream/imapflow-client.ts', 'daemon/daemon.ts']));
    expect(sourceFiles().flatMap((file) => importsOf(file.text)).length).toBeGreaterThan(150);
  });
});

const PLANTED: readonly (readonly [path: string, text: string, problem: string])[] = [
  ['errors.ts', "import { a } from './maildrop/numbers.ts';", 'errors may not know maildrop'],
  ['clock.ts', "import { a } from './errors.ts';", 'clock may not know errors'],
  ['maildrop/x.ts', "import { a } from '../pop3/reply.ts';", 'maildrop may not know pop3'],
  ['pop3/x.ts', "import { a } from '../imap/uid-set.ts';", 'pop3 may not know imap'],
  ['pop3/x.ts', "import type { A } from '../store/store.ts';", 'pop3 may not know ports'],
  ['pop3/x.ts', "import { a } from '../daemon/daemon.ts';", 'pop3 may not know daemon'],
  ['maildrop/x.ts', "import { a } from '../slices.ts';", 'maildrop may not know slices'],
  ['pop3/x.ts', "import { a } from 'node:fs';", 'pop3 is pure'],
  ['imap/x.ts', "export { a } from '../upstream/removal.ts';", 'imap may not know upstream'],
  ['upstream/x.ts', "import { a } from '../store/sqlite-store.ts';", 'upstream may not know store'],
  ['store/x.ts', "import type { A } from '../upstream/imapflow-client.ts';", 'store may not know upstream'],
  ['upstream/x.ts', "import { a } from '../config/load.ts';", 'upstream may not know config-load'],
  ['upstream/upstream.ts', "import { a } from './imapflow-client.ts';", 'ports may not know upstream'],
  ['store/store.ts', "import { a } from '../daemon/daemon.ts';", 'ports may not know daemon'],
  ['config/schema.ts', "import { a } from '../pop3/limits.ts';", 'config may not know pop3'],
  ['daemon/x.ts', "import { a } from '../cli/serve.ts';", 'daemon may not know cli'],
  ['cli/x.ts', "const a = await import('../program.ts');", 'cli may not know program'],
  ['program.ts', "import './main.ts';", 'program may not know main'],
  ['upstream/x.ts', "import { ImapFlow } from 'imapflow';", 'imports values of imapflow'],
  ['upstream/x.ts', "import { type A, ImapFlow } from 'imapflow';", 'imports values of imapflow'],
  ['daemon/x.ts', "import {\n  DatabaseSync,\n} from 'node:sqlite';", 'imports node:sqlite'],
  ['cli/x.ts', "import { connect } from 'node:net';", 'imports node:net'],
  ['store/x.ts', "import { connect } from 'node:tls';", 'imports node:tls'],
  ['daemon/x.ts', 'const a = process.env;', 'uses process'],
  ['cli/x.ts', "const a = process['argv'];", 'uses process'],
  ['cli/x.ts', "import { argv } from 'node:process';", 'imports process'],
  ['cli/x.ts', 'const a = []; a.push(...b);', 'spreads into arguments'],
  ['cli/x.ts', 'const a = Math.max(0, 1, ...b.map((c) => [c]));', 'spreads into arguments'],
  ['cli/x.ts', 'export default function a() {}', 'has a default export'],
  ['cli/x.ts', 'const a = 1;\nexport { a as default };', 'has a default export'],
  ['cli/x.ts', 'const a = 1;\n'.repeat(351), 'has 351 lines'],
];

const ALLOWED: readonly (readonly [path: string, text: string])[] = [
  ['upstream/x.ts', "import type { ImapFlow } from 'imapflow';"],
  ['upstream/x.ts', "import { type A, type B } from 'imapflow';"],
  ['upstream/imapflow-client.ts', "import { ImapFlow } from 'imapflow';"],
  ['upstream/upstream.ts', "import type { ChosenFolder } from '../imap/special-use.ts';"],
  ['daemon/daemon-lock.ts', "import { DatabaseSync } from 'node:sqlite';"],
  ['daemon/x.ts', '// process.env is not for us\nconst a = config.process.log; const b = "process.env";'],
  ['main.ts', "const a = process.argv; await import('./program.ts');"],
  ['cli/x.ts', 'const a = 1;\n'.repeat(350)],
  ['cli/x.ts', 'function a(...b: string[]): void {}\nconst c = (d: number, ...e: number[]): number[] => [d, ...e]; f({ ...g }, [...e]);'],
];

describe('this test sees', () => {
  test.each(PLANTED)('in %s: %s', (path, text, problem) => {
    expect(violations({ path, text })).toEqual([expect.stringContaining(problem)]);
  });

  test.each(ALLOWED)('no fault in %s: %s', (path, text) => {
    expect(violations({ path, text })).toEqual([]);
  });
});
