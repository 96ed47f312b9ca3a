/**
 * The real servers and clients the tests run against: which Debian packages hold each one and how to see that it is there.
 * Finding them is locate.ts's business, fetching them provide.ts's.
 */

/** All peers there are, named by their commands. */
export const peerNames = [
  'dovecot',
  'cyrus',
  'curl',
  'fetchmail',
  'mpop',
  'getmail',
  'python3',
  'openssl',
  'testssl',
  'chromium',
  'faketime',
  'systemd-analyze',
  'systemd-notify',
] as const;

/** Names of the peers a test may ask for. */
export type PeerName = (typeof peerNames)[number];

/** How one peer is recognised and run. */
export interface PeerEntry {
  readonly packages: readonly string[];
  /** Files besides the command itself, relative to the root of the file system, without which the peer is of no use. */
  readonly files: readonly string[];
  /** Services that installing the packages, instead of extracting them, would enable. */
  readonly services: readonly string[];
  /** Arguments that make it print its version and exit 0. */
  readonly versionArguments: readonly string[];
  /**
   * How a copy that was extracted, not installed, is run: `library-path` finds its shared libraries beside it; `python` also its modules;
   * `overlay` needs to see its files under /usr (compiled-in paths), so it gets a private mount namespace, which takes root; `toolbox` is
   * several programs, and its launcher runs the one that is named first among its arguments; `testssl` is a script that calls other programs
   * and has to be told where its tables are; `chromium` has libraries in one more folder, and a wrapper that is passed by.
   */
  readonly extractedAs: 'library-path' | 'python' | 'overlay' | 'toolbox' | 'testssl' | 'chromium';
  /** Conflicts with another peer, so it is extracted on its own and neither looked for in the system nor installed into it. */
  readonly staysApart?: true;
}

/** What is known of each. */
export const catalogue: Readonly<Record<PeerName, PeerEntry>> = {
  dovecot: {
    packages: ['dovecot-imapd', 'dovecot-pop3d'],
    files: ['usr/lib/dovecot/imap-login', 'usr/lib/dovecot/pop3-login'],
    services: ['dovecot'],
    versionArguments: ['--version'],
    extractedAs: 'overlay',
  },
  // Debian lets one IMAP server be installed: this one would remove Dovecot.
  cyrus: {
    packages: ['cyrus-common', 'cyrus-imapd', 'cyrus-pop3d', 'sasl2-bin', 'libsasl2-modules', 'libsasl2-modules-db'],
    files: [],
    services: [],
    versionArguments: ['cyr_buildinfo'],
    extractedAs: 'toolbox',
    staysApart: true,
  },
  curl: { packages: ['curl'], files: [], services: [], versionArguments: ['--version'], extractedAs: 'library-path' },
  fetchmail: { packages: ['fetchmail'], files: [], services: ['fetchmail'], versionArguments: ['--version'], extractedAs: 'library-path' },
  mpop: { packages: ['mpop'], files: [], services: [], versionArguments: ['--version'], extractedAs: 'library-path' },
  getmail: { packages: ['getmail6'], files: [], services: [], versionArguments: ['--version'], extractedAs: 'python' },
  python3: { packages: ['python3'], files: [], services: [], versionArguments: ['--version'], extractedAs: 'library-path' },
  openssl: { packages: ['openssl'], files: [], services: [], versionArguments: ['version'], extractedAs: 'library-path' },
  testssl: {
    packages: ['testssl.sh', 'openssl', 'bsdextrautils', 'procps'],
    files: ['etc/testssl/tls_data.txt', 'usr/bin/hexdump'],
    services: [],
    versionArguments: ['--version'],
    extractedAs: 'testssl',
  },
  chromium: {
    packages: ['chromium'],
    files: ['usr/lib/chromium/chromium'],
    services: [],
    versionArguments: ['--version'],
    extractedAs: 'chromium',
  },
  faketime: {
    packages: ['faketime', 'libfaketime'],
    files: [],
    services: [],
    versionArguments: ['--version'],
    extractedAs: 'library-path',
  },
  'systemd-analyze': { packages: ['systemd'], files: [], services: [], versionArguments: ['--version'], extractedAs: 'overlay' },
  'systemd-notify': { packages: ['systemd'], files: [], services: [], versionArguments: ['--version'], extractedAs: 'library-path' },
};
