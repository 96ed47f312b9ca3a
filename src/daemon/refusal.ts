/** Connections that are not let in: one clear line each, behind the handshake where clients expect TLS first (CONTRACT section 4, `allow`). */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import { BusyError } from '../errors.ts';
import { encodeStatus } from '../pop3/reply.ts';
import { replyForError } from '../pop3/reply-for-error.ts';
import { ClientSocket } from './client-socket.ts';

/** So many are told by TLS at a time; handshakes cost work, and who is refused in numbers gets none. */
const MAX_HANDSHAKES = 32;
const WRITE_MS = 5_000;

/** What a connection hears that has to make room, or for which there is none. */
export const TOO_MANY_SESSIONS = encodeStatus(replyForError(new BusyError('SESSION_LIMIT', 'limits.sessions is reached')));

export interface RefusalParts {
  readonly clock: Clock;
  /** For the handshake where clients begin with TLS, with the certificate of now; undefined where they begin in clear. */
  readonly tlsContext: () => SecureContext | undefined;
}

export class Refusals {
  readonly #parts: RefusalParts;
  #handshakes = 0;

  constructor(parts: RefusalParts) {
    this.#parts = parts;
  }

  /** Says `line`, with its line end, and closes. Whoever is too many for a handshake is only closed. */
  refuse(socket: Socket, line: string): void {
    const context = this.#parts.tlsContext();
    if (context === undefined) {
      socket.end(line, () => socket.destroySoon());
      socket.resume();
    } else if (this.#handshakes < MAX_HANDSHAKES) {
      void this.#refuseSecurely(socket, context, line);
    } else {
      socket.destroy();
    }
  }

  async #refuseSecurely(socket: Socket, context: SecureContext, line: string): Promise<void> {
    this.#handshakes += 1;
    const client = new ClientSocket(socket, this.#parts.clock, WRITE_MS, {
      onReadable: () => {},
      onClose: () => {
        this.#handshakes -= 1;
      },
    });
    try {
      await client.secure(context);
      await client.write(line);
      await client.flush();
      client.end();
    } catch {
      // Nobody is left to be told; the refusal itself is in the log.
      client.destroy();
    }
  }
}
