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
  readonly #makeRoom: (address?: string) => boolean;
  readonly #byAddress = new Map<string, number>();
  readonly #byUser = new Map<string, number>();
  /** With their addresses. */
  readonly #leaving = new Map<LeavingSocket, string>();
  #all = 0;

  /** The limits are asked for each time: a reload may change them. `makeRoom` ends a session nobody logged in to, of that address where one is given. */
  constructor(limits: () => SessionLimits, makeRoom: (address?: string) => boolean = () => false) {
    this.#limits = limits;
    this.#makeRoom = makeRoom;
  }

  /** Counts a new connection, for which another one may have to go. Throws BusyError SESSION_LIMIT when there are too many. */
  connect(address: string): GiveBack {
    const { sessions, sessionsPerAddress } = this.#limits();
    if ((this.#byAddress.get(address) ?? 0) >= sessionsPerAddress) {
      if (!this.#free(address)) throw new BusyError('SESSION_LIMIT', 'limits.sessions_per_address is reached');
    } else if (this.#all >= sessions && !this.#free()) {
      throw new BusyError('SESSION_LIMIT', 'limits.sessions is reached');
    }
    this.#all += 1;
    const giveBack = count(this.#byAddress, address);
    return once(() => {
      this.#all -= 1;
      giveBack();
    });
  }

  /**
   * Gives back the place of a connection whose session is over when its socket is gone too: a client that keeps its side open for a while must not
   * have more sockets here than it may have sessions. Where room is needed such sockets go first.
   */
  leave(socket: LeavingSocket, address: string, giveBack: GiveBack): void {
    if (socket.destroyed) {
      giveBack();
      return;
    }
    this.#leaving.set(socket, address);
    socket.once('close', () => {
      this.#leaving.delete(socket);
      giveBack();
    });
  }

  #free(address?: string): boolean {
    return this.#endLeaving(address) || this.#makeRoom(address);
  }

  #endLeaving(address?: string): boolean {
    for (const [socket, its] of this.#leaving) {
      if (address !== undefined && its !== address) continue;
      this.#leaving.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  /** Counts a login of an account. Throws BusyError SESSION_LIMIT when there are too many. */
  logIn(account: string): GiveBack {
    if ((this.#byUser.get(account) ?? 0) >= this.#limits().sessionsPerUser) {
      throw new BusyError('SESSION_LIMIT', 'limits.sessions_per_user is reached');
    }
    return count(this.#byUser, account);
  }
}

function count(counts: Map<string, number>, key: string): GiveBack {
  counts.set(key, (counts.get(key) ?? 0) + 1);
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
