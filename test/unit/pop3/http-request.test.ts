import { expect, test } from 'vitest';
import { isHttpRequest } from '../../../src/pop3/http-request.ts';
import { octets } from './octets.ts';

test.each([
  'GET / HTTP/1.1',
  'POST /index.html?a=b HTTP/1.0',
  'OPTIONS * HTTP/1.1',
  'CONNECT mail.example.com:995 HTTP/1.1',
  'GET http://127.0.0.1:1110/ HTTP/1.1',
  'PRI * HTTP/2.0',
  'GET / HTTP/2',
  "M!#$%&'*+-.^_`|~1 / HTTP/1.1",
  'USER /alice HTTP/1.1',
  'QUIT / HTTP/1.1',
  'get / HTTP/1.1',
  'GET /with a blank HTTP/1.1',
  'GET\t/\tHTTP/1.1 ',
  `GET /${'x'.repeat(12_000)} HTTP/1.1`,
])('%j is a request of HTTP', (line) => {
  expect(isHttpRequest(octets(line))).toBe(true);
});

test.each([
  '',
  'QUIT',
  'USER alice',
  'USER HTTP/1.1',
  'GET /',
  'GET / HTTP',
  'GET / HTTP/',
  'GET / HTTP/1.1 and more',
  'GET / XHTTP/1.1',
  'HTTP/1.1 200 OK',
  'PASS a b http',
  'AUTH PLAIN AGFsaWNlAHNlY3JldA==',
  '\x16\x03\x01 / HTTP/1.1',
])('%j is none', (line) => {
  expect(isHttpRequest(octets(line))).toBe(false);
});
