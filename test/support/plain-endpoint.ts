/** An IMAP server on the loopback address, without TLS, as the upstream adapter is told of it. */
import type { UpstreamEndpoint } from '../../src/upstream/imapflow-client.ts';

export function plainEndpoint(port: number, commandTimeoutMs: number): UpstreamEndpoint {
  return {
    host: '127.0.0.1',
    port,
    security: 'none',
    certificateSha256: undefined,
    secureContext: undefined,
    sendsId: true,
    commandTimeoutMs,
    clientInfo: { name: 'test', version: '1' },
  };
}
