import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  databaseFiles,
  hasOwnSocket,
  requireOwnFiles,
  requireOwnStateDirectory,
  requireSafeFolder,
} from '../../../src/daemon/own-files.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-own-'));
  file = join(folder, 'file');
  writeFileSync(file, '');
});
afterEach(() => rmSync(folder, { recursive: true }));

const unsafe = (problem: string): unknown => expect.objectContaining({ code: 'STATE_UNSAFE', message: expect.stringContaining(problem) });

test('files of our own are good, and so are those that are not there', () => {
  requireOwnFiles([file, join(folder, 'absent')], folder);
});

test('links, whether they lead anywhere or not, and what is no file are not', () => {
  const [link, nowhere, inner] = ['link', 'nowhere', 'inner'].map((name) => join(folder, name));
  symlinkSync(file, link ?? '');
  symlinkSync(join(folder, 'absent'), nowhere ?? '');
  mkdirSync(inner ?? '');
  for (const path of [link, nowhere]) expect(() => requireOwnFiles([path ?? ''], folder)).toThrow(unsafe(`${path} is a symbolic link`));
  expect(() => requireOwnFiles([inner ?? ''], folder)).toThrow(unsafe('inner is not a regular file'));
});

test('a database has four files', () => {
  expect(databaseFiles('a')).toEqual(['a', 'a-wal', 'a-shm', 'a-journal']);
});

test('a socket is told from a file and from nothing', async () => {
  const path = join(folder, 'sock');
  expect(hasOwnSocket(path, folder)).toBe(false);
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  expect(hasOwnSocket(path, folder)).toBe(true);
  expect(() => requireOwnFiles([path], folder)).toThrow(unsafe('sock is not a regular file'));
  expect(() => hasOwnSocket(file, folder)).toThrow(unsafe('file is not a socket'));
  await new Promise((resolve) => void server.close(resolve));
});

test('a folder to which everybody can write is only good where nobody can take away what others put there', () => {
  chmodSync(folder, 0o777);
  expect(() => requireSafeFolder(file, folder)).toThrow(unsafe(`everybody can write to the folder ${folder}`));
  chmodSync(folder, 0o1777);
  requireSafeFolder(file, folder);
  chmodSync(folder, 0o755);
  requireSafeFolder(file, folder);
  requireSafeFolder(join(folder, 'absent', 'file'), folder);
});

test('a state directory must be that of the user who asks, where the system knows users', () => {
  const own = process.getuid?.() ?? -1;
  requireOwnStateDirectory(folder, own);
  requireOwnStateDirectory(folder, -1);
  expect(() => requireOwnStateDirectory(folder, own + 1)).toThrow(
    unsafe(`belongs to user ${own}, and this command runs as user ${own + 1}`),
  );
});
