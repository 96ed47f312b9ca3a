import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { createLog, LiveSecrets, withOwnSecrets, type AdjustableLog } from '../../../src/daemon/logging.ts';
import { UpstreamError } from '../../../src/errors.ts';

function setup(options: { readonly level?: string; readonly pretty?: boolean } = {}): {
  log: AdjustableLog;
  lines: string[];
  secrets: LiveSecrets;
} {
  const lines: string[] = [];
  const secrets = new LiveSecrets();
  const log = createLog({ level: options.level ?? 'info', pretty: options.pretty ?? false, write: (line) => lines.push(line) }, secrets);
  return { log, lines, secrets };
}

describe('the log', () => {
  test('is one JSON line an event, with level, time and event', () => {
    const { log, lines } = setup();
    log.info('login', { user: 'alice', messages: 3 });
    log.debug('quiet');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', event: 'login', user: 'alice', messages: 3 });
  });

  test('tells an error by code, message and causes; its stack only at level debug', () => {
    const error = new UpstreamError('tls', 'certificate', { cause: new Error('expired') });
    const quiet = setup();
    quiet.log.warn('upstream-failed', { error });
    expect(JSON.parse(quiet.lines[0] ?? '')['error']).toEqual({
      code: 'UPSTREAM_TLS',
      message: 'certificate',
      cause: { message: 'expired' },
    });
    const loud = setup({ level: 'debug' });
    loud.log.warn('upstream-failed', { error });
    expect(loud.lines[0]).toContain('stack');
  });

  test('strikes out live secrets wherever they stand, plain and in base64, until they are released', () => {
    const { log, lines, secrets } = setup();
    const release = secrets.add('pa"ss\\wörd');
    const again = secrets.add('pa"ss\\wörd');
    release();
    release();
    log.warn('x', { text: 'it is pa"ss\\wörd', deep: [{ error: new Error(`no ${Buffer.from('pa"ss\\wörd').toString('base64')}`) }] });
    expect(lines[0]).not.toContain('wörd');
    expect(lines[0]).not.toContain(Buffer.from('pa"ss\\wörd').toString('base64'));
    again();
    log.warn('x', { text: 'pa"ss\\wörd' });
    expect(lines[1]).toContain('wörd');
  });

  test('never holds a live secret, whatever it is made of', () => {
    holds(
      fc.property(fc.string({ unit: 'binary', minLength: 4, maxLength: 30 }), fc.string({ maxLength: 10 }), (secret, around) => {
        const { log, lines, secrets } = setup();
        secrets.add(secret);
        log.info('event', { text: around + secret + around });
        const text: unknown = JSON.parse(lines[0] ?? '')['text'];
        expect(String(text).replaceAll('[secret]', '')).not.toContain(secret);
      }),
    );
  });

  test('never holds a live secret as SASL, IMAP, JSON or a form has it', () => {
    const secretText = fc.string({ unit: fc.constantFrom(...Array.from('ab"\\ .*+?^$|()[]{}/=%&äß€😀')), minLength: 4, maxLength: 30 });
    holds(
      fc.property(secretText, fc.string({ maxLength: 4 }), (secret, user) => {
        const { log, lines, secrets } = setup();
        secrets.add(secret);
        const sasl = Buffer.from(`\0${user}\0${secret}`).toString('base64');
        const forms = [sasl, secret.replaceAll(/["\\]/g, '\\$&'), JSON.stringify(secret), encodeURIComponent(secret)];
        log.info('event', { texts: forms.map((form) => `<${form}>`) });
        const texts: string[] = JSON.parse(lines[0] ?? '')['texts'];
        expect(texts.map((text) => text.includes('[secret]'))).toEqual(forms.map(() => true));
        // What is left of the base64 is the name and parts of two characters at most.
        expect((texts[0] ?? '').length).toBeLessThanOrEqual('<[secret]>'.length + Math.ceil((Buffer.byteLength(user) + 2) / 3) * 4 + 4);
      }),
    );
  });

  test('never touches its own words, whatever is a secret: level, time, event, addresses, codes and outcomes', () => {
    const { log, lines, secrets } = setup();
    const fields = {
      client: '127.0.0.1',
      upstream: 'example',
      view: 'laptop',
      outcome: 'no QUIT',
      what: 'RETR',
      digest: '1234abcd',
      messages: 123_456,
      retrieved: { count: 1, octets: 654_321 },
    };
    const error = new UpstreamError('refused', 'it said refused', { cause: Object.assign(new Error('no'), { code: 'odd code' }) });
    const words = ['session-end', 'info', 'UPSTREAM_REFUSED', '2026', '123456', '654321', 'count', 'message', 'refused', 'odd code'];
    for (const word of [...words, '127.0.0.1', 'example', 'laptop', 'no QUIT', 'RETR', '1234abcd']) secrets.add(word);
    log.info('session-end', { ...fields, error, user: 'laptop' });
    const { time, ...rest }: Record<string, unknown> = JSON.parse(lines[0] ?? '');
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(rest).toEqual({
      ...fields,
      level: 'info',
      event: 'session-end',
      user: '[secret]',
      error: { code: 'UPSTREAM_REFUSED', message: 'it said [secret]', cause: { code: '[secret]', message: 'no' } },
    });
  });

  test('strikes out the secrets of a client in the lines of that client alone, and in those that belong to all', () => {
    const { log, lines, secrets: tokens } = setup();
    const all = new LiveSecrets();
    const [alice, bob] = [1, 2].map(() => withOwnSecrets({ log, secrets: all }));
    tokens.add('a token');
    alice?.secrets.add('wonderland');
    bob?.secrets.add('builder');
    const text = 'wonderland builder a token';
    for (const part of [alice?.log, bob?.log, log, log.withSecrets(all)]) part?.info('event', { text });
    alice?.secrets.clear();
    for (const part of [alice?.log, log.withSecrets(all)]) part?.info('event', { text });
    expect(lines.map((line) => String(JSON.parse(line)['text']))).toEqual([
      '[secret] builder [secret]',
      'wonderland [secret] [secret]',
      'wonderland builder [secret]',
      '[secret] [secret] [secret]',
      'wonderland builder [secret]',
      'wonderland [secret] [secret]',
    ]);
  });

  test('strikes out the longer of two secrets that begin alike, and one as long as it is used', () => {
    const { log, lines, secrets } = setup();
    const shorter = secrets.add('sesame');
    const longer = secrets.add('sesame-open');
    log.info('event', { text: 'sesame-open sesame' });
    expect(JSON.parse(lines[0] ?? '')['text']).toBe('[secret] [secret]');
    longer();
    log.info('event', { text: 'sesame-open sesame' });
    expect(JSON.parse(lines[1] ?? '')['text']).toBe('[secret]-open [secret]');
    shorter();
    log.info('event', { text: 'sesame' });
    expect(JSON.parse(lines[2] ?? '')['text']).toBe('sesame');
  });

  test('on a terminal is plainer, and control characters can not act there', () => {
    const { log, lines } = setup({ pretty: true });
    log.info('login-failed', { user: 'al\u001b[2Jice\nfake line\u009b2J\u202e', count: 2 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d info {2}login-failed user="al\\u001b\[2Jice\\nfake line\\u009b2J\\u202e" count=2\n$/);
  });

  test('follows a reload', () => {
    const { log, lines } = setup();
    log.adjust({ level: 'error', pretty: true });
    log.info('gone');
    log.error('shown');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/error shown\n$/);
  });
});
