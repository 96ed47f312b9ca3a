import { expect, test } from 'vitest';
import { ImapflowClient } from '../../../src/upstream/imapflow-client.ts';

test('a client that is logged in holds its password no longer, though imapflow keeps its options', () => {
  const client = new ImapflowClient(
    {
      host: '127.0.0.1',
      port: 143,
      security: 'none',
      certificateSha256: undefined,
      secureContext: undefined,
      sendsId: false,
      commandTimeoutMs: 1_000,
      clientInfo: { name: 'test', version: '1' },
    },
    { user: 'alice', password: 'a very secret password' },
  );
  const held = (): string => JSON.stringify(Reflect.get(Reflect.get(client.flow, 'options') as object, 'auth'));
  expect(held()).toContain('a very secret password');
  client.forgetPassword();
  expect(held()).not.toContain('secret');
});
