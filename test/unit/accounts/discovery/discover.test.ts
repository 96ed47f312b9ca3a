import fc from 'fast-check';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { holds } from '../../../support/holds.ts';
import { imapServersIn } from '../../../../src/accounts/discovery/autoconfig.ts';
import { discover, type SrvRecord } from '../../../../src/accounts/discovery/discover.ts';

const server = (fields: string, type = 'imap'): string => `<incomingServer type="${type}">${fields}</incomingServer>`;
const config = (...servers: readonly string[]): string =>
  `<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="example.com"><domain>example.com</domain>${servers.join('')}</emailProvider></clientConfig>`;
const IMAPS = '<hostname>imap.example.com</hostname><port>993</port><socketType>SSL</socketType><username>%EMAILADDRESS%</username>';

describe('autoconfig', () => {
  test('tells the IMAP servers in their order, and leaves out POP3 and what has no TLS', () => {
    const plain = IMAPS.replace('SSL', 'plain');
    const starttls = IMAPS.replace('SSL', 'STARTTLS').replace('993', '143').replace('%EMAILADDRESS%', '%EMAILLOCALPART%');
    expect(imapServersIn(config(server(IMAPS, 'pop3'), server(plain), server(IMAPS), server(starttls)))).toEqual([
      { host: 'imap.example.com', port: 993, security: 'tls', username: '{user}' },
      { host: 'imap.example.com', port: 143, security: 'starttls', username: '{local}' },
    ]);
  });

  test.each([
    ['an HTML page', '<!doctype html><html><body>welcome'],
    ['a broken document', config(server(IMAPS)).slice(0, -20)],
    ['a host that is none', config(server(IMAPS.replace('imap.example.com', 'imap.example.com/"\\nport = 1')))],
    ['a port that is none', config(server(IMAPS.replace('993', '99999')))],
    ['no port', config(server(IMAPS.replace('<port>993</port>', '')))],
    ['an answer without end', 'x'.repeat(300_000)],
    ['entities that grow', `<!DOCTYPE a [<!ENTITY b "${'b'.repeat(100)}">]><clientConfig>&b;&b;</clientConfig>`],
  ])('of %s is nothing', (_, xml) => {
    expect(imapServersIn(xml)).toEqual([]);
  });

  test('never breaks', () => {
    holds(fc.property(fc.string({ unit: 'binary' }), (text) => Array.isArray(imapServersIn(text))));
  });
});

describe('the server of a mail domain', () => {
  let web: Server;
  let asked: string[];
  let pages: Record<string, string>;
  let records: Record<string, readonly SrvRecord[]>;

  beforeEach(async () => {
    asked = [];
    pages = {};
    records = {};
    web = createServer((request, response) => {
      const url = `https://${String(request.headers['x-host'])}${request.url}`;
      asked.push(url);
      const page = pages[url.replace(/\?.*/, '')];
      response.writeHead(page === undefined ? 404 : 200).end(page);
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => web.close());

  const found = (address: string) =>
    discover(address, {
      get: async (url, signal) => {
        const { host, pathname, search } = new URL(url);
        const local = `http://127.0.0.1:${(web.address() as AddressInfo).port}${pathname}${search}`;
        const response = await fetch(local, { headers: { 'x-host': host }, signal });
        if (!response.ok) throw new Error(String(response.status));
        return response.text();
      },
      srv: (name) => (records[name] === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(records[name])),
    });

  test('is known by a preset without asking anybody', async () => {
    expect(await found('alice@GMail.com')).toMatchObject({ by: 'preset', preset: { name: 'gmail' } });
    expect(asked).toEqual([]);
  });

  test('is what the domain itself publishes', async () => {
    pages['https://example.com/.well-known/autoconfig/mail/config-v1.1.xml'] = config(server(IMAPS));
    expect(await found('alice@example.com')).toEqual({
      by: 'network',
      server: { host: 'imap.example.com', port: 993, security: 'tls', username: '{user}' },
      source: 'https://example.com',
    });
    expect(asked[0]).toBe('https://autoconfig.example.com/mail/config-v1.1.xml?emailaddress=alice%40example.com');
  });

  test('that is the one of a known provider is that provider, with all that it wants', async () => {
    pages['https://example.com/.well-known/autoconfig/mail/config-v1.1.xml'] = config(
      server(IMAPS.replace('imap.example.com', 'outlook.office365.com')),
    );
    expect(await found('alice@example.com')).toMatchObject({ by: 'preset', preset: { name: 'outlook' }, source: 'https://example.com' });
  });

  test('is what Mozilla knows of it, which is told the domain alone', async () => {
    pages['https://autoconfig.thunderbird.net/v1.1/example.com'] = config(server(IMAPS));
    expect(await found('alice@example.com')).toMatchObject({ source: 'https://autoconfig.thunderbird.net' });
    expect(asked.at(-1)).not.toContain('alice');
  });

  test('is what its SRV records say, by priority and weight, TLS first', async () => {
    records['_imap._tcp.example.com'] = [{ name: 'starttls.example.com', port: 143, priority: 0, weight: 0 }];
    expect(await found('alice@example.com')).toMatchObject({ server: { host: 'starttls.example.com', port: 143, security: 'starttls' } });
    records['_imaps._tcp.example.com'] = [
      { name: 'spare.example.com', port: 993, priority: 20, weight: 9 },
      { name: 'light.example.com', port: 993, priority: 10, weight: 1 },
      { name: 'imap.example.com', port: 1993, priority: 10, weight: 5 },
    ];
    expect(await found('alice@example.com')).toEqual({
      by: 'network',
      server: { host: 'imap.example.com', port: 1993, security: 'tls', username: '{user}' },
      source: 'the SRV record _imaps._tcp.example.com',
    });
  });

  test('is not known where nobody says anything, or says that there is none', async () => {
    records['_imaps._tcp.example.com'] = [{ name: '', port: 0, priority: 0, weight: 0 }];
    expect(await found('alice@example.com')).toBeUndefined();
  });
});
