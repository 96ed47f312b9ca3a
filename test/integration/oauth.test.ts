/** OAuth 2.0 from the sign-in to the mail: a real provider, a real Dovecot that takes its tokens, and POP3 clients that know of neither. */
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { agentOf, OAuthSite } from '../support/oauth-site.ts';
import { peerPath } from '../support/peers/peer.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { patience } from '../support/patience.ts';
import { until } from '../support/until.ts';

allowInLog('login-failed', 'sign-in-needed', 'upstream-failed');

const SIGN_IN_NEEDED = '-ERR [AUTH] sign-in to the mail server has expired, run: popbridge account signin USER';
/** Sessions at a time. Each costs the check of an app password, which is slow on purpose, and the daemon lets none wait longer than 30 s for its turn. */
const MANY = 10;

describeWithPeers(['dovecot', 'openssl'], 'OAuth 2.0', () => {
  describe.each(['xoauth2', 'oauthbearer'])('with %s alone', (mechanisms) => {
    let site: OAuthSite;
    beforeAll(async () => {
      site = await OAuthSite.start({ mechanisms });
    });
    afterAll(async () => {
      await site[Symbol.asyncDispose]();
    });

    test('a user who signed in with a browser fetches mail with an app password', async () => {
      const password = await site.signedIn('alice');
      expect(await site.fetch('alice', password)).toEqual(['for alice']);
      expect(await site.fetch('alice', 'not the app password')).toBe('-ERR [AUTH] user name or password refused');
      expect(site.provider.grants).toEqual(['authorization_code']);
    });
  });

  describe('signing in', () => {
    let site: OAuthSite;
    beforeAll(async () => {
      site = await OAuthSite.start();
    });
    afterAll(async () => {
      await site[Symbol.asyncDispose]();
    });

    test('with a code that is typed on another device', async () => {
      await using run = site.interactive('add', 'alice@example.com', '--flow', 'device');
      const [, uri = '', code = ''] = /open (\S+) and type the code (\S+) /.exec(await run.says(/(On any device.*\n)/)) ?? [];
      await agentOf('alice', { user_code: code }).visit(uri);
      const { code: exit, stdout } = await run.ended();
      expect([exit, stdout]).toEqual([0, expect.stringContaining('app password of alice@example.com (default), shown once:')]);
      expect(await site.fetch('alice', /^ {4}(\S+)$/m.exec(stdout)?.[1] ?? '')).toEqual(['for alice']);
    });

    test('with an address that is pasted from any browser', async () => {
      await using run = site.interactive('signin', 'alice@example.com', '--flow', 'paste');
      const returned = await agentOf('alice').visit(await run.says(/^ {4}(http\S+)$/m), 'http://127.0.0.1:21110/');
      await run.says(/Paste that address here: /);
      run.type(returned.url);
      expect(await run.ended()).toMatchObject({ code: 0, stdout: 'alice@example.com is signed in\n' });
    });

    test.for([
      [
        'with an address of something else',
        'https://example.com/?code=1',
        /that is not the address; it must begin with http:\/\/127\.0\.0\.1:21110\/\n$/,
      ],
      [
        'with an answer to another sign-in',
        'http://127.0.0.1:21110/?code=abc&state=another',
        /^popbridge: the sign-in failed: that is the answer to another one\n$/m,
      ],
      ['with no code', 'http://127.0.0.1:21110/', /^popbridge: the sign-in failed: [^\n]+\n$/m],
    ] as const)('%s is one clear line, and keeps the sign-in that there was', async ([, pasted, line]) => {
      await using run = site.interactive('signin', 'alice@example.com', '--flow', 'paste');
      await run.says(/Paste that address here: /);
      run.type(pasted);
      const { code, stderr } = await run.ended();
      expect(code).not.toBe(0);
      expect(stderr).toMatch(line);
      expect((await site.account('list')).stdout).toMatch(/oauth +ok, token until/);
    });

    test('that is denied is one clear line', async () => {
      await using run = site.interactive('signin', 'alice@example.com');
      const url = new URL(await run.says(/^ {4}(http\S+)$/m));
      const denied = `${url.searchParams.get('redirect_uri')}?error=access_denied&error_description=No&state=${url.searchParams.get('state')}`;
      const answer = await fetch(`${denied}&iss=${encodeURIComponent(site.provider.issuer)}`);
      expect([answer.status, await answer.text()]).toEqual([400, 'The sign-in failed; popbridge says why.\n']);
      expect(await run.ended()).toMatchObject({
        code: 69,
        stderr: expect.stringMatching(/^popbridge: the sign-in failed: access_denied, No\n$/m),
      });
    });

    test('is for one answer: what another page or another sign-in sends ends nothing, and a second answer is refused', async () => {
      await using run = site.interactive('signin', 'alice@example.com');
      const url = await run.says(/^ {4}(http\S+)$/m);
      const redirect = new URL(url).searchParams.get('redirect_uri') ?? '';
      expect((await fetch(`${redirect}?code=stolen&state=guessed`)).status).toBe(400);
      expect((await fetch(`${redirect}elsewhere`)).status).toBe(404);
      expect(await statusWithHost(redirect, 'evil.example.com')).toBe(403);
      const returned = await agentOf('alice').visit(url, redirect);
      const answers = await Promise.allSettled([fetch(returned.url), fetch(returned.url)]);
      const statuses = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.status : 'closed'));
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      const { code, stderr } = await run.ended();
      expect(code).toBe(0);
      expect(stderr).toContain('popbridge: an answer to another sign-in was refused\n');
      expect(stderr).toContain('popbridge: a request for another host was refused\n');
    });

    test('as another user is refused by the server, and keeps the sign-in that there was', async () => {
      await using run = site.interactive('signin', 'alice@example.com');
      await agentOf('bob').visit(await run.says(/^ {4}(http\S+)$/m));
      expect(await run.ended()).toMatchObject({
        code: 69,
        stderr: expect.stringMatching(/^popbridge: the mail server of test refuses the one who signed in, as that user: [^\n]+\n$/m),
      });
      expect((await site.account('list')).stdout).toMatch(/oauth +ok, token until/);
    });

    test('with no right to mail is one clear line, and keeps the sign-in that there was', async () => {
      await using run = site.interactive('signin', 'alice@example.com');
      const url = await run.says(/^ {4}(http\S+)$/m);
      site.provider.fail({ status: 200, body: '{"access_token":"narrow","token_type":"Bearer","scope":"openid"}' });
      await agentOf('alice').visit(url);
      expect(await run.ended()).toMatchObject({
        code: 69,
        stderr: expect.stringMatching(/^popbridge: the sign-in gives no right to mail, only to openid\n$/m),
      });
      expect((await site.account('list')).stdout).toMatch(/oauth +ok, token until/);
    });

    test.for([
      ['fails', { status: 500, body: 'oops' }],
      ['answers with something that is no JSON', { status: 200, body: '<html>welcome</html>' }],
      ['answers with no token', { status: 200, body: '{"token_type":"Bearer"}' }],
      ['hangs up', 'hang up'],
      ['does not answer', 'hang'],
    ] as const)('at a provider whose token endpoint %s is one clear line', { timeout: patience(60_000) }, async ([, fault]) => {
      await using run = site.interactive('signin', 'alice@example.com');
      const url = await run.says(/^ {4}(http\S+)$/m);
      site.provider.fail(fault);
      await agentOf('alice').visit(url);
      const { code, stderr } = await run.ended();
      site.provider.fail();
      expect(code).toBe(69);
      expect(stderr).toMatch(
        /^popbridge: the sign-in failed: the provider(?:'s answer makes no sense \([^\n]+| can not be reached \([^\n]+| did not answer in time)\n$/m,
      );
    });

    describeWithPeers(['chromium'], 'in a browser that draws its pages', () => {
      test('a user signs in, agrees, and is told that the window can be closed', { timeout: patience(60_000) }, async () => {
        const browser = await chromium.launch({ executablePath: peerPath('chromium'), args: ['--no-sandbox'] });
        try {
          await using run = site.interactive('add', 'bob@example.com');
          const page = await browser.newPage();
          await page.goto(await run.says(/^ {4}(http\S+)$/m));
          await page.fill('input[name=login]', 'bob');
          await page.fill('input[name=password]', 'any will do');
          await page.click('button[type=submit]');
          await page.click('button[type=submit]');
          await page.waitForURL('http://127.0.0.1:*/?code=*');
          expect(await page.textContent('body')).toContain('You are signed in. This window can be closed.');
          const { code, stdout } = await run.ended();
          expect(code).toBe(0);
          expect(await site.fetch('bob', /^ {4}(\S+)$/m.exec(stdout)?.[1] ?? '')).toEqual(['for bob']);
        } finally {
          await browser.close();
        }
      });
    });
  });

  describe('tokens', () => {
    let site: OAuthSite;
    let password: string;
    beforeAll(async () => {
      site = await OAuthSite.start({ tables: '[maildrop]\nlock = "shared"\n[limits]\nsessions_per_user = 100' });
      password = await site.signedIn('alice');
    });
    afterAll(async () => {
      await site[Symbol.asyncDispose]();
    });

    const refreshes = (): number => site.provider.grants.filter((grant) => grant === 'refresh_token').length;
    const endToken = async (): Promise<void> => {
      // So that the next ones last; the one that there is ends in a second.
      site.provider.accessSeconds = 1;
      await using run = site.interactive('signin', 'alice@example.com');
      await agentOf('alice').visit(await run.says(/^ {4}(http\S+)$/m));
      expect((await run.ended()).code).toBe(0);
      site.provider.accessSeconds = 3_600;
      await new Promise((resolve) => setTimeout(resolve, 1_100));
    };

    test(`that have ended are renewed by one request, however many sessions want one`, async () => {
      await endToken();
      const before = refreshes();
      site.provider.delayMs = 300;
      const fetched = await Promise.all(Array.from({ length: MANY }, () => site.fetch('alice', password)));
      site.provider.delayMs = 0;
      expect(fetched).toEqual(Array.from({ length: MANY }, () => ['for alice']));
      expect(refreshes() - before).toBe(1);
    });

    test('that the server refuses before their time are renewed at once', async () => {
      const before = refreshes();
      site.provider.endAccess();
      expect(await site.fetch('alice', password)).toEqual(['for alice']);
      expect(refreshes() - before).toBe(1);
    });

    test('survive a crash of the daemon after a rotation', async () => {
      await endToken();
      expect(await site.fetch('alice', password)).toEqual(['for alice']);
      await site.restart('SIGKILL');
      site.provider.endAccess();
      expect(await site.fetch('alice', password)).toEqual(['for alice']);
    });

    test('are not renewed while the provider fails, which passes', async () => {
      await endToken();
      site.provider.fail({ status: 503, body: '{"error":"temporarily_unavailable"}' });
      expect(await site.fetch('alice', password)).toMatch(/^-ERR \[SYS\/TEMP\] /);
      expect(await site.fetch('alice', password)).toEqual(['for alice']);
    });

    test('taken back are told with what to run; the provider is asked no more until somebody signs in again', async () => {
      await endToken();
      await site.provider.revoke('alice');
      expect(await site.fetch('alice', password)).toBe(SIGN_IN_NEEDED);
      const asked = site.provider.grants.length;
      for (let times = 0; times < 3; times += 1) expect(await site.fetch('alice', password)).toBe(SIGN_IN_NEEDED);
      expect(site.provider.grants).toHaveLength(asked);
      expect((await site.account('list')).stdout).toMatch(/oauth +needed: the token was not renewed: invalid_grant/);
      await site.bridge.event('sign-in-needed');
      expect(site.bridge.events('sign-in-needed')).toMatchObject([
        { user: 'alice@example.com', run: 'popbridge account signin alice@example.com' },
      ]);
      await using run = site.interactive('signin', 'alice@example.com');
      await agentOf('alice').visit(await run.says(/^ {4}(http\S+)$/m));
      expect(await run.ended()).toMatchObject({ code: 0, stdout: 'alice@example.com is signed in\n' });
      expect(await site.fetch('alice', password)).toEqual(['for alice']);
    });

    test('stand nowhere in clear: neither in the state nor in the log', async () => {
      await until(() => site.provider.tokens.length > 0);
      const traces = site.traces();
      const forms = [...site.provider.tokens, password].flatMap((token) => [token, Buffer.from(token).toString('base64')]);
      expect(forms.filter((form) => traces.includes(form))).toEqual([]);
    });
  });

  test('client credentials need nobody to sign in', async () => {
    await using site = await OAuthSite.start({ flow: 'client-credentials' });
    const { code, stdout } = await site.account('add', 'shared@example.com');
    expect(code).toBe(0);
    const password = /^ {4}(\S+)$/m.exec(stdout)?.[1] ?? '';
    expect(await site.fetch('shared', password)).toEqual(['for shared']);
    expect(await site.fetch('shared', password)).toEqual(['for shared']);
    expect(site.provider.grants).toEqual(['client_credentials']);
    expect((await site.account('signin', 'shared@example.com')).stderr).toMatch(/needs no sign-in/);
  });
});

async function statusWithHost(url: string, host: string): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject).end();
  });
}
