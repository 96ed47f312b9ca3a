/** The capability list of CAPA (RFC 2449 section 5). What is told before login is told after it too; STLS only where it is permitted. */
import { MECHANISMS } from './sasl.ts';
import type { Authorization, SessionPolicy, Transaction } from './session-state.ts';

/** True where a client may log in: on TLS, or where clear text is allowed. */
export function mayLogIn(state: { readonly isSecured: boolean }, policy: SessionPolicy): boolean {
  return state.isSecured || policy.allowsCleartextLogin;
}

/** Capability lines for that state, without line ends. */
export function capabilities(state: Authorization | Transaction, policy: SessionPolicy): string[] {
  const lines = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'EXPIRE NEVER'];
  if (mayLogIn(state, policy)) lines.push('USER', `SASL ${MECHANISMS.join(' ')}`);
  const delay = loginDelay(state, policy);
  if (delay !== undefined) lines.push(`LOGIN-DELAY ${delay}`);
  if (state.phase === 'AUTHORIZATION' && policy.offersTls && !state.isSecured) lines.push('STLS');
  if (state.phase === 'TRANSACTION') lines.push(`IMPLEMENTATION ${policy.implementation}`);
  return lines;
}

/** RFC 2449 section 6.5: before login the largest value and "USER"; after it the exact one. */
function loginDelay(state: Authorization | Transaction, policy: SessionPolicy): string | undefined {
  if (policy.loginDelaySeconds === undefined) return undefined;
  return state.phase === 'TRANSACTION' ? String(state.loginDelaySeconds ?? 0) : `${policy.loginDelaySeconds} USER`;
}
