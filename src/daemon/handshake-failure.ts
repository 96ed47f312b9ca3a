/** Why TLS with a client did not come about, in words. OpenSSL's own text names files of its build, and hardly says what to do. Pure. */

const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE)$/, 'the client does not trust the certificate'],
  [/ALERT_CERTIFICATE_EXPIRED$/, 'the client takes the certificate for expired'],
  [/ALERT_PROTOCOL_VERSION$|UNSUPPORTED_PROTOCOL$|VERSION_TOO_LOW$/, 'the client offers no TLS version that this address accepts'],
  [/NO_SHARED_CIPHER$|ALERT_HANDSHAKE_FAILURE$/, 'the client and this address have no cipher in common'],
  [/INAPPROPRIATE_FALLBACK$/, 'the client fell back to an older TLS version than it knows'],
  [/WRONG_VERSION_NUMBER$|HTTP_REQUEST$|HTTPS_PROXY_REQUEST$|PACKET_LENGTH_TOO_LONG$/, 'the client does not speak TLS'],
  [/^(?:ECONNRESET|EPIPE|ECONNABORTED)$/, 'the client left during the TLS handshake'],
];

/** `code`: Node's name of an error of OpenSSL (`ERR_SSL_…`) or of the system. */
export function handshakeReason(code: string): string {
  const known = REASONS.find(([pattern]) => pattern.test(code))?.[1];
  if (known !== undefined) return known;
  const alert = /ALERT_(\w+)$/.exec(code)?.[1];
  if (alert !== undefined) return `the client ended the TLS handshake: ${inWords(alert)}`;
  return code.startsWith('ERR_SSL_') ? `the TLS handshake failed: ${inWords(code.slice('ERR_SSL_'.length))}` : 'the TLS handshake failed';
}

function inWords(name: string): string {
  return name.toLowerCase().replaceAll('_', ' ');
}
