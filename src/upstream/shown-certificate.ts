/** Looks at a server's certificate before anybody trusts it. */
import type { Clock } from '../clock.ts';
import { ImapflowClient, type UpstreamEndpoint } from './imapflow-client.ts';

/** No certificate has it: whatever is shown is refused, before a login. */
const NO_PIN = '';
const NOBODY = { user: 'nobody', password: 'none' };
const PATIENCE_MS = 10_000;

/** SHA-256 of the certificate that a server shows, in lower-case hex; undefined where it shows none. Nothing of a login is sent. */
export async function shownCertificate(
  server: Pick<UpstreamEndpoint, 'host' | 'port' | 'security' | 'clientInfo'>,
  clock: Clock,
): Promise<string | undefined> {
  const trust = { certificateSha256: NO_PIN, secureContext: undefined, sendsId: false, commandTimeoutMs: PATIENCE_MS };
  const client = new ImapflowClient({ ...server, ...trust }, NOBODY);
  await client.connect(clock).catch(() => {});
  client.destroy();
  return client.transport.shownCertificate;
}
