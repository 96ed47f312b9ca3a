/** The commands of the AUTHORIZATION state: USER, PASS, AUTH, STLS, QUIT (RFC 1939 sections 4 and 7, RFC 2595, RFC 5034). */
import { mayLogIn } from './capability.ts';
import { CRLF, err, ok, okLines } from './reply.ts';
import { continueExchange, isMechanism, MECHANISMS, startExchange, type Credentials, type SaslStep } from './sasl.ts';
import { CLOSED, replying, type Authorization, type SessionPolicy, type Step } from './session-state.ts';
import type { Command } from './command.ts';

const TLS_FIRST = err('TLS is required before login on this connection');

/** USER is answered alike for every name: no one learns here who exists (RFC 1939 section 7). */
export function user(state: Authorization, command: Extract<Command, { verb: 'USER' }>, policy: SessionPolicy): Step {
  if (!mayLogIn(state, policy)) return [state, [replying(TLS_FIRST)]];
  return [{ ...state, user: command.user }, [replying(ok('send PASS'))]];
}

export function pass(state: Authorization, command: Extract<Command, { verb: 'PASS' }>, policy: SessionPolicy): Step {
  if (!mayLogIn(state, policy)) return [state, [replying(TLS_FIRST)]];
  if (state.user === undefined) return [state, [replying(err('send USER first'))]];
  return authenticating(state, { user: state.user, password: command.password });
}

/** AUTH with a mechanism starts an exchange; bare it lists the mechanisms, as Outlook expects. */
export function auth(state: Authorization, command: Extract<Command, { verb: 'AUTH' }>, policy: SessionPolicy): Step {
  const allowed = mayLogIn(state, policy);
  if (command.mechanism === undefined) {
    const names = allowed ? MECHANISMS.map((name) => name + CRLF) : [];
    return [state, [replying(okLines('mechanisms follow', names))]];
  }
  if (!allowed) return [state, [replying(TLS_FIRST)]];
  if (!isMechanism(command.mechanism)) return [state, [replying(err('unknown mechanism'))]];
  return afterSasl({ ...state, user: undefined }, startExchange(command.mechanism, command.initialResponse));
}

/** A line of the client within an AUTH exchange. */
export function saslLine(state: Authorization, line: Uint8Array): Step {
  if (state.exchange === undefined) return [state, []];
  return afterSasl({ ...state, exchange: undefined }, continueExchange(state.exchange, line));
}

function afterSasl(state: Authorization, step: SaslStep): Step {
  switch (step.next) {
    case 'challenge':
      return [{ ...state, exchange: step.exchange }, [{ do: 'challenge', challenge: step.challenge }]];
    case 'credentials':
      return authenticating(state, step.credentials);
    case 'fail':
      return [state, [replying(err(step.problem))]];
  }
}

function authenticating(state: Authorization, credentials: Credentials): Step {
  const before: Authorization = { ...state, user: undefined, exchange: undefined };
  return [{ phase: 'AUTHENTICATING', before }, [{ do: 'authenticate', credentials }]];
}

/** STLS (RFC 2595 section 4): nothing the client said before counts afterwards. */
export function stls(state: Authorization, policy: SessionPolicy): Step {
  if (state.isSecured) return [state, [replying(err('TLS is active already'))]];
  if (!policy.offersTls) return [state, [replying(err('TLS is not offered here'))]];
  return [{ phase: 'SECURING' }, [replying(ok('begin TLS')), { do: 'start-tls' }]];
}

/** QUIT before login: no UPDATE state, nothing is done (RFC 1939 section 4). */
export function quitAuthorization(): Step {
  return [CLOSED, [replying(ok('bye')), { do: 'close' }]];
}
