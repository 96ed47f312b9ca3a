import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { capabilities, mayLogIn } from '../../../src/pop3/capability.ts';
import type { SessionPolicy } from '../../../src/pop3/session-state.ts';
import { authorization, POLICY, transaction } from './sessions.ts';

const ALWAYS = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'EXPIRE NEVER'];
const LOGIN = ['USER', 'SASL PLAIN LOGIN'];

const policies: fc.Arbitrary<SessionPolicy> = fc.record({
  offersTls: fc.boolean(),
  allowsCleartextLogin: fc.boolean(),
  loginDelaySeconds: fc.option(fc.integer({ min: 1, max: 9999 }), { nil: undefined }),
  implementation: fc.constant('popbridge-test'),
});

describe('CAPA', () => {
  test('before login, in clear, with STLS', () => {
    expect(capabilities(authorization(), POLICY)).toEqual([...ALWAYS, ...LOGIN, 'STLS']);
  });

  test('does not list STLS without a certificate', () => {
    expect(capabilities(authorization(), { ...POLICY, offersTls: false })).toEqual([...ALWAYS, ...LOGIN]);
  });

  test('does not list STLS once TLS is on', () => {
    expect(capabilities(authorization({ isSecured: true }), POLICY)).toEqual([...ALWAYS, ...LOGIN]);
  });

  test('lists neither USER nor SASL where a login is not taken, and both after TLS', () => {
    const policy = { ...POLICY, allowsCleartextLogin: false };
    expect(capabilities(authorization(), policy)).toEqual([...ALWAYS, 'STLS']);
    expect(capabilities(authorization({ isSecured: true }), policy)).toEqual([...ALWAYS, ...LOGIN]);
  });

  test('after login names the implementation, and STLS no more', () => {
    expect(capabilities(transaction(), POLICY)).toEqual([...ALWAYS, ...LOGIN, 'IMPLEMENTATION popbridge-test']);
  });

  test('tells the largest LOGIN-DELAY and USER before login, the exact one after it', () => {
    const policy = { ...POLICY, loginDelaySeconds: 300 };
    expect(capabilities(authorization(), policy)).toContain('LOGIN-DELAY 300 USER');
    expect(capabilities(transaction(undefined, { loginDelaySeconds: 60 }), policy)).toContain('LOGIN-DELAY 60');
  });

  test('tells after login all it told before, save for STLS and the delay (RFC 2449 section 5)', () => {
    holds(
      fc.property(policies, fc.boolean(), (policy, isSecured) => {
        const before = capabilities(authorization({ isSecured }), policy).filter((line) => !/^(?:STLS|LOGIN-DELAY)/.test(line));
        expect(capabilities(transaction(undefined, { isSecured }), policy)).toEqual(expect.arrayContaining(before));
      }),
    );
  });

  test('lists USER exactly where USER is taken, and STLS only before TLS and login', () => {
    holds(
      fc.property(policies, fc.boolean(), (policy, isSecured) => {
        const lines = capabilities(authorization({ isSecured }), policy);
        expect(lines.includes('USER')).toBe(mayLogIn({ isSecured }, policy));
        expect(lines.includes('STLS')).toBe(policy.offersTls && !isSecured);
        expect(capabilities(transaction(undefined, { isSecured }), policy)).not.toContain('STLS');
        for (const line of lines) expect(line).toMatch(/^[A-Z][\x20-\x7e]{0,509}$/);
      }),
    );
  });
});
