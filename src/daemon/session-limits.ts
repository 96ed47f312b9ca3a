/** Counts sessions against the limits of the configuration; what is taken must be given back. */
import type { Socket } from 'node:net';
import { BusyError } from '../errors.ts';

export interface SessionLimits {
  readonly sessions: number;
  readonly sessionsPerAddress: number;
  readonly sessionsPerUser: number;
}

export type GiveBack = () => void;

/** A socket on which nobody is served any more. */
export type LeavingSocket = Pick<Socket, 'destroyed' | 'destroy' | 'once'>;

export class SessionCounter {
  readonly #limits: () => SessionLimits;
  readonly #makeRoom: () => boolean;
  readonly #byAddress = new Map<string, number>();
  readonly #byUser = new Map<string, number>();
  readonly #leaving = new Set<LeavingSocket>();
  #all = 0;

  /** The limits are asked for each time: a reload may change them. `makeRoom` ends a session nobody logged in to, if there is one. */
  constructor(limits: () => SessionLimits, makeRoom: () => boolean = () => false) {
    this.#limits = limits;
    this.#makeRoom = makeRoom;
  }

  /** Counts a new connection. Throws BusyError SESSION_LIMIT when there are too many. */
  connect(address: string): GiveBack {
    const giveBack = take(this.#byAddress, address, this.#limits().sessionsPerAddress, 'limits.sessions_per_address is reached');
    if (this.#all >= this.#limits().sessions && !this.#endLeaving() && !this.#makeRoom()) {
      giveBack();
      throw new BusyError('SESSION_LIMIT', 'limits.sessions is reached');
    }
    this.#all += 1;
    return once(() => {
      this.#all -= 1;
      giveBack();
    });
  }

  /**
   * Gives back the place of a connection whose session is over when its socket is gone too: a client that keeps its side open for a while must not
   * have more sockets here than it may have sessions. Where room is needed such sockets go first.
   */
  leave(socket: LeavingSocket, giveBack: GiveBack): void {
    if (socket.destroyed) {
      giveBack();
      return;
    }
    this.#leaving.add(socket);
    socket.once('close', () => {
      this.#leaving.delete(socket);
      giveBack();
    });
  }

  #endLeaving(): boolean {
    const [socket] = this.#leaving;
    if (socket === undefined) return false;
    this.#leaving.delete(socket);
    socket.destroy();
    return true;
  }

  /** Counts a login of an account. Throws BusyError SESSION_LIMIT when there are too many. */
  logIn(account: string): GiveBack {
    return take(this.#byUser, account, this.#limits().sessionsPerUser, 'limits.sessions_per_user is reached');
  }
}

function take(counts: Map<string, number>, key: string, limit: number, problem: string): GiveBack {
  const count = counts.get(key) ?? 0;
  if (count >= limit) throw new BusyError('SESSION_LIMIT', problem);
  counts.set(key, count + 1);
  return once(() => {
    const left = (counts.get(key) ?? 1) - 1;
    if (left > 0) counts.set(key, left);
    else counts.delete(key);
  });
}

function once(run: () => void): GiveBack {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    run();
  };
}
