/** Configuration text for a bridge under test. */
export interface BridgeConfigText {
  readonly imapPort: number;
  readonly host?: string;
  readonly security?: 'tls' | 'starttls' | 'none';
  /** Lines for [upstream] besides host, port and security. */
  readonly upstream?: readonly string[];
  /** Certificate and key: a second listener with STLS and a third with TLS. */
  readonly certificate?: { readonly certificate: string; readonly key: string };
  /** Other tables, as text. */
  readonly tables?: string;
}

/** One upstream on 127.0.0.1 and a listener without TLS on a free port; ports come in the order none, starttls, tls. */
export function bridgeConfig(options: BridgeConfigText): string {
  const { certificate } = options;
  const secured = certificate === undefined ? [] : ['starttls', 'tls'];
  return [
    '[upstream]',
    `host = "${options.host ?? '127.0.0.1'}"`,
    `port = ${options.imapPort}`,
    `security = "${options.security ?? 'none'}"`,
    ...(options.upstream ?? []),
    ...(certificate === undefined ? [] : ['[tls]', `certificate_file = "${certificate.certificate}"`, `key_file = "${certificate.key}"`]),
    ...['none', ...secured].flatMap((security) => ['[[listen]]', 'address = "127.0.0.1:0"', `security = "${security}"`]),
    options.tables ?? '',
    '',
  ].join('\n');
}
