/**
 * The POP3 session as a pure transition function. What arrives is an input, what has to be done is an effect; this file
 * never sees a socket, a clock or a promise.
 *
 *   AUTHORIZATION -> AUTHENTICATING -> TRANSACTION <-> RETRIEVING
 *        |  ^                              |
 *     SECURING                           UPDATE -> CLOSED
 *
 * Invariants: only a complete QUIT line in TRANSACTION causes an update; a failure after the first octet of a message closes
 * the connection without the terminating line; nothing is sent after `close`; an HTTP request gets no answer.
 */
import { BusyError, CredentialsError, InvariantError, type BridgeError } from '../errors.ts';
import type { UpdateOutcome } from '../maildrop/update-plan.ts';
import { saslLine } from './authorization.ts';
import { runCommand } from './command-table.ts';
import { isCommandError, parseCommand, type CommandError } from './command.ts';
import { isHttpRequest } from './http-request.ts';
import { MAX_BAD_COMMANDS, MAX_LOGIN_FAILURES } from './limits.ts';
import { err, ok, type Reply } from './reply.ts';
import { replyForError } from './reply-for-error.ts';
import { retrieved } from './transaction.ts';
import {
  CLOSED,
  initialState,
  replying,
  type Authorization,
  type Effect,
  type OpenedMaildrop,
  type SessionInput,
  type SessionPolicy,
  type SessionState,
  type Step,
  type Transaction,
} from './session-state.ts';

/** One transition. An input that makes no sense in its state is our own fault and ends the session. */
export function step(state: SessionState, input: SessionInput, policy: SessionPolicy): Step {
  if (state.phase === 'CLOSED') return [state, []];
  switch (input.on) {
    case 'line':
      return isAwaitingLine(state) ? line(state, input.line, policy) : unexpected(state, input);
    case 'line-too-long':
      return closing(err('line too long'));
    case 'shutdown':
      return shutdown(state);
    case 'failed':
      return failed(state, input.error, input.begun);
    case 'secured':
      return state.phase === 'SECURING' ? [initialState(true), []] : unexpected(state, input);
    case 'maildrop-opened':
      return state.phase === 'AUTHENTICATING' ? opened(state.before, input.opened) : unexpected(state, input);
    case 'retrieved':
      return state.phase === 'RETRIEVING' ? retrieved(state.before, state.entry, state.isWhole) : unexpected(state, input);
    case 'updated':
      return state.phase === 'UPDATE' ? closing(replyForUpdate(input.outcome)) : unexpected(state, input);
  }
}

/** True in the two states in which the client's next line is wanted; in the others it waits. */
export function isAwaitingLine(state: SessionState): state is Authorization | Transaction {
  return state.phase === 'AUTHORIZATION' || state.phase === 'TRANSACTION';
}

function line(state: Authorization | Transaction, octets: Uint8Array, policy: SessionPolicy): Step {
  if (state.phase === 'AUTHORIZATION') {
    if (state.exchange !== undefined) return saslLine(state, octets);
    // Behind USER comes a password, which may look like anything.
    if (state.user === undefined && isHttpRequest(octets)) return [CLOSED, [{ do: 'close', refused: 'the client speaks HTTP' }]];
  }
  const command = parseCommand(octets);
  if (isCommandError(command)) return badCommand(withoutName(state, command), command.problem);
  const done = runCommand({ ...state, badCommands: 0 }, command, policy);
  return done ?? badCommand(state, `${command.verb} is not valid in this state`);
}

function badCommand(state: Authorization | Transaction, problem: string): Step {
  const badCommands = state.badCommands + 1;
  if (badCommands >= MAX_BAD_COMMANDS) return closing(err('too many bad commands'));
  return [{ ...state, badCommands }, [replying(err(problem))]];
}

/** A USER that was not understood must not leave an earlier name standing for the PASS that follows. */
function withoutName(state: Authorization | Transaction, error: CommandError): Authorization | Transaction {
  return state.phase === 'AUTHORIZATION' && error.verb === 'USER' ? { ...state, user: undefined } : state;
}

function opened(before: Authorization, maildrop: OpenedMaildrop): Step {
  const state: Transaction = {
    phase: 'TRANSACTION',
    isSecured: before.isSecured,
    ...maildrop,
    highestRetrieved: 0,
    badCommands: 0,
  };
  return [state, [replying(ok('maildrop locked and ready'))]];
}

/** `begun`: octets of a positive reply are out; then only a cut connection tells the client the truth. */
function failed(state: SessionState, error: BridgeError, begun: boolean): Step {
  if (begun) return [CLOSED, [{ do: 'close' }]];
  const reply = replyForError(error);
  if (error instanceof InvariantError) return closing(reply);
  switch (state.phase) {
    case 'AUTHENTICATING': {
      const loginFailures = state.before.loginFailures + (isRefusal(error) ? 1 : 0);
      return loginFailures >= MAX_LOGIN_FAILURES ? closing(reply) : [{ ...state.before, loginFailures }, [replying(reply)]];
    }
    case 'RETRIEVING':
      return [state.before, [replying(reply)]];
    case 'UPDATE':
      return closing(reply);
    default:
      return [CLOSED, [{ do: 'close' }]];
  }
}

/** QUIT tells the truth (CONTRACT section 5.2, RFC 1939 section 6). */
function replyForUpdate(outcome: UpdateOutcome): Reply {
  switch (outcome.result) {
    case 'done':
      return ok('bye');
    case 'partial':
      return err(`${outcome.failed} of ${outcome.total} messages not deleted`, outcome.temporary ? 'SYS/TEMP' : 'SYS/PERM');
    case 'unknown':
      return err(`${outcome.total} messages to delete, outcome unknown`, 'SYS/TEMP');
  }
}

/** SIGTERM (CONTRACT section 5.11): a word to who waits for a command, a cut inside a response; a running UPDATE goes on. */
function shutdown(state: SessionState): Step {
  if (state.phase === 'UPDATE') return [state, []];
  if (state.phase === 'RETRIEVING' || state.phase === 'SECURING') return [CLOSED, [{ do: 'close' }]];
  return closing(err('shutting down', 'SYS/TEMP'));
}

function closing(reply: Reply): Step {
  const effects: Effect[] = [replying(reply), { do: 'close' }];
  return [CLOSED, effects];
}

function unexpected(state: SessionState, input: SessionInput): Step {
  throw new InvariantError(`input ${input.on} in state ${state.phase}`);
}

/** A password was wrong, or one too many to be tried. */
function isRefusal(error: BridgeError): boolean {
  return error instanceof CredentialsError || (error instanceof BusyError && error.code === 'LOGIN_BACKOFF');
}
