import { expect, test } from 'vitest';
import { handshakeReason } from '../../../src/daemon/handshake-failure.ts';

test.for([
  ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'the client does not trust the certificate'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'the client does not trust the certificate'],
  ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', 'the client takes the certificate for expired'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'the client offers no TLS version that this address accepts'],
  ['ERR_SSL_NO_SHARED_CIPHER', 'the client and this address have no cipher in common'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'the client does not speak TLS'],
  ['ERR_SSL_HTTP_REQUEST', 'the client does not speak TLS'],
  ['ECONNRESET', 'the client left during the TLS handshake'],
  ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'the client ended the TLS handshake: internal error'],
  ['ERR_SSL_BAD_RECORD_TYPE', 'the TLS handshake failed: bad record type'],
  ['', 'the TLS handshake failed'],
])('%s: %s', ([code, words]) => {
  expect(handshakeReason(code ?? '')).toBe(words);
});
