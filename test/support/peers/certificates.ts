/** A throw-away certificate authority and a server certificate for this machine. */
import { execFile } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { peerPath } from './peer.ts';
import { patience } from '../patience.ts';

const OPENSSL_MS = 20_000;
const NEW_KEY = {
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
  rsa: ['-newkey', 'rsa:2048', '-nodes'],
} as const;
const THIS_MACHINE = 'DNS:localhost,IP:127.0.0.1';
const EXTENSIONS = 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=';

/** Paths of PEM files. */
export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** What is unusual about a certificate, or wrong with it. */
export interface CertificateFaults {
  readonly algorithm?: keyof typeof NEW_KEY;
  /** Instead of this machine. */
  readonly names?: string;
  /** Negative: it has expired. */
  readonly days?: number;
}

/** Makes `ca.pem`, and `cert.pem` with `key.pem` (0600) for localhost and 127.0.0.1 signed by it, in an existing folder. */
export async function makeCertificates(
  folder: string,
  { algorithm = 'ec', names = THIS_MACHINE, days = 90 }: CertificateFaults = {},
): Promise<Certificates> {
  const newKey = NEW_KEY[algorithm];
  const at = (name: string): string => join(folder, name);
  const subject = `/CN=popbridge test CA ${process.pid} ${Date.now()}`;
  const authority = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-keyout', at('ca-key.pem'), '-out', at('ca.pem')];
  await writeFile(at('extensions'), `${EXTENSIONS}${names}\n`);
  await Promise.all([
    openssl(['req', '-x509', ...newKey, '-days', '90', '-subj', subject, ...authority]),
    openssl(['req', ...newKey, '-subj', '/CN=localhost', '-keyout', at('key.pem'), '-out', at('request.pem')]),
  ]);
  const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-set_serial', String(Date.now()), '-days', String(days)];
  await openssl(['x509', '-req', '-in', at('request.pem'), ...signer, '-extfile', at('extensions'), '-out', at('cert.pem')]);
  await Promise.all([chmod(at('key.pem'), 0o600), chmod(at('cert.pem'), 0o644), chmod(at('ca.pem'), 0o644)]);
  return { ca: at('ca.pem'), certificate: at('cert.pem'), key: at('key.pem') };
}

async function openssl(args: readonly string[]): Promise<void> {
  await promisify(execFile)(peerPath('openssl'), args, { timeout: patience(OPENSSL_MS), killSignal: 'SIGKILL' });
}
