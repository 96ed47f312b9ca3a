/** The certificate of one listener as a TLS context, read again when its files change. */
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

/** Mozilla's "intermediate" without DHE: TLS 1.2 with forward secrecy and AEAD, and all of TLS 1.3. */
const CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** What Windows XP's successors and old phones need; RC4 and 3DES do not exist in Node. */
const LEGACY_CIPHERS = `${CIPHERS}:HIGH:!aNULL:@SECLEVEL=0`;

export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** TLS 1.0 and old ciphers. */
  readonly legacy: boolean;
}

/** Reads both files and makes a context. Throws what the file system or OpenSSL says. */
function loadCertificate(files: CertificateFiles, readFile: (path: string) => Buffer): SecureContext {
  return createSecureContext({
    cert: readFile(files.certificateFile),
    key: readFile(files.keyFile),
    ciphers: files.legacy ? LEGACY_CIPHERS : CIPHERS,
    minVersion: files.legacy ? 'TLSv1' : 'TLSv1.2',
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}

/** Where certificates come from; passed in for tests. */
export interface CertificateSource {
  readonly readFile: (path: string) => Buffer;
  /** When the file was last written, in milliseconds. */
  readonly writtenAt: (path: string) => number;
  readonly monotonic: () => number;
}

/** Files are looked at no more often than this. */
const LOOK_AGAIN_MS = 5_000;

/** Keeps the context of one listener up to date. A new certificate that can't be used leaves the old one in place. */
export class Certificate {
  readonly #files: CertificateFiles;
  readonly #source: CertificateSource;
  readonly #onFailure: (error: unknown) => void;
  #context: SecureContext;
  #stamp: string;
  #lookedAt: number;

  /** Throws where the files can't be read or used now. */
  constructor(files: CertificateFiles, source: CertificateSource, onFailure: (error: unknown) => void) {
    this.#files = files;
    this.#source = source;
    this.#onFailure = onFailure;
    this.#stamp = this.#currentStamp();
    this.#context = loadCertificate(files, source.readFile);
    this.#lookedAt = source.monotonic();
  }

  /** The context for a handshake that begins now. */
  get context(): SecureContext {
    const now = this.#source.monotonic();
    if (now - this.#lookedAt < LOOK_AGAIN_MS) return this.#context;
    this.#lookedAt = now;
    try {
      const stamp = this.#currentStamp();
      if (stamp !== this.#stamp) {
        this.#context = loadCertificate(this.#files, this.#source.readFile);
        this.#stamp = stamp;
      }
    } catch (error) {
      this.#onFailure(error);
    }
    return this.#context;
  }

  #currentStamp(): string {
    return `${this.#source.writtenAt(this.#files.certificateFile)} ${this.#source.writtenAt(this.#files.keyFile)}`;
  }
}
