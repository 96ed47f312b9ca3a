/** A certificate that is renewed on the disk. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Certificate } from '../../../src/daemon/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { makeCertificates, type Certificates } from '../../support/peers/certificates.ts';

let folder: string;
let made: Certificates;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-renewed-'));
  made = await makeCertificates(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('is taken up by itself, for handshakes a few seconds later; one that can not be used leaves the old one in place, and is told', async () => {
  const clock = new FakeClock();
  const failures: unknown[] = [];
  let writtenAt = 1;
  let isBroken = false;
  const files = { certificateFile: made.certificate, keyFile: made.key, legacy: false };
  const readFile = (path: string): Buffer => (isBroken ? Buffer.from('half a file') : readFileSync(path));
  const source = { readFile, writtenAt: () => writtenAt, monotonic: () => clock.monotonic() };
  const certificate = new Certificate(files, source, (error) => failures.push(error));
  const first = certificate.context;
  writtenAt = 2;
  await clock.advance(4_999);
  expect(certificate.context).toBe(first);
  await clock.advance(1);
  const second = certificate.context;
  expect(second).not.toBe(first);
  isBroken = true;
  writtenAt = 3;
  await clock.advance(5_000);
  expect(certificate.context).toBe(second);
  expect(failures).toHaveLength(1);
  // Written to its end at last.
  isBroken = false;
  await clock.advance(5_000);
  expect(certificate.context).not.toBe(second);
  expect(failures).toHaveLength(1);
});
