/** Every command in one table: in which states it is legal, and what it does there. */
import { auth, pass, quitAuthorization, stls, user } from './authorization.ts';
import { capabilities } from './capability.ts';
import type { Command, Verb } from './command.ts';
import { CRLF, ok, okLines } from './reply.ts';
import { replying, type Authorization, type SessionPolicy, type Step, type Transaction } from './session-state.ts';
import { dele, last, list, quitTransaction, retr, rset, stat, top, uidl } from './transaction.ts';

type Handler<State, V extends Verb> = (state: State, command: Extract<Command, { verb: V }>, policy: SessionPolicy) => Step;

/** A state without a handler is one in which the command is not legal. */
interface Row<V extends Verb> {
  readonly AUTHORIZATION?: Handler<Authorization, V>;
  readonly TRANSACTION?: Handler<Transaction, V>;
}

const COMMANDS: { readonly [V in Verb]: Row<V> } = {
  USER: { AUTHORIZATION: user },
  PASS: { AUTHORIZATION: pass },
  AUTH: { AUTHORIZATION: auth },
  STLS: { AUTHORIZATION: (state, _, policy) => stls(state, policy) },
  CAPA: { AUTHORIZATION: (state, _, policy) => capa(state, policy), TRANSACTION: (state, _, policy) => capa(state, policy) },
  QUIT: { AUTHORIZATION: quitAuthorization, TRANSACTION: quitTransaction },
  STAT: { TRANSACTION: stat },
  LIST: { TRANSACTION: list },
  UIDL: { TRANSACTION: uidl },
  RETR: { TRANSACTION: retr },
  TOP: { TRANSACTION: top },
  DELE: { TRANSACTION: dele },
  RSET: { TRANSACTION: rset },
  LAST: { TRANSACTION: last },
  NOOP: { TRANSACTION: (state) => [state, [replying(ok())]] },
};

function capa(state: Authorization | Transaction, policy: SessionPolicy): Step {
  const lines = capabilities(state, policy).map((line) => line + CRLF);
  return [state, [replying(okLines('capabilities follow', lines))]];
}

/** Runs a command in a state; undefined when it is not legal there. */
export function runCommand<V extends Verb>(
  state: Authorization | Transaction,
  command: Extract<Command, { verb: V }>,
  policy: SessionPolicy,
): Step | undefined {
  const row: Row<V> = COMMANDS[command.verb];
  return state.phase === 'AUTHORIZATION' ? row.AUTHORIZATION?.(state, command, policy) : row.TRANSACTION?.(state, command, policy);
}
