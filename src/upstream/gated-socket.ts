/**
 * The socket that imapflow believes to talk to. At first all passes. Once a keeper stands at the gate, which is after the login, every octet
 * from the server goes to the keeper, and imapflow neither hears nor says anything any more.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { TLSSocket, type CipherNameAndProtocol } from 'node:tls';
import { UpstreamError } from '../errors.ts';
import type { Flow } from './holding.ts';
import type { LoginShortcuts } from './imapflow-shortcuts.ts';

/** Who is given the octets of the server. */
export interface GateKeeper {
  receive(chunk: Buffer): void;
  /** The connection ended, for whatever reason; nothing comes any more. */
  lost(error: Error | undefined): void;
  /** Nothing went either way for as long as imapflow wished to be told. */
  quiet(): void;
}

/** What a keeper may do with the connection. */
export interface Gate extends Flow {
  /** Sends a command past imapflow. */
  send(octets: string): void;
  readonly isHeld: boolean;
}

/** As much as one read from the network gives. */
const GATHER_OCTETS = 64 * 1024;
/** Greeting, capabilities and the answers to a login are a few lines; imapflow would read for as long as the login may take. */
const MAX_LOGIN_OCTETS = 256 * 1024;

export class GatedSocket extends Duplex implements Gate {
  readonly #raw: Socket;
  readonly #shortcuts: LoginShortcuts;
  #keeper: GateKeeper | undefined;
  /** Who wants the socket not to be read now. */
  readonly #holders = new Set<object>();
  #isDetached = false;
  /** Came and was not handed on yet. */
  #gathered: Buffer[] = [];
  #gatheredOctets = 0;
  /** It is sent when what runs now has run. */
  #toSend = '';
  /** Came for imapflow. */
  #loginOctets = 0;

  constructor(raw: Socket, shortcuts: LoginShortcuts) {
    super({ allowHalfOpen: false });
    this.#raw = raw;
    this.#shortcuts = shortcuts;
    raw
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onError)
      .on('close', this.#onClose)
      .on('timeout', this.#onTimeout);
  }

  get octetsReceived(): number {
    return this.#raw.bytesRead;
  }

  keep(keeper: GateKeeper): void {
    this.#keeper = keeper;
  }

  /** What is sent at the same time goes out in one piece. */
  send(octets: string): void {
    if (this.#toSend === '') setImmediate(this.#sendGathered);
    this.#toSend += octets;
  }

  /** Reads no more until all who hold let go: what the server sends waits in the network. */
  hold(holder: object): void {
    this.#holders.add(holder);
    this.#raw.pause();
  }

  letGo(holder: object): void {
    if (this.#holders.delete(holder) && this.#holders.size === 0) this.#raw.resume();
  }

  get isHeld(): boolean {
    return this.#holders.size > 0;
  }

  /** The socket below, for TLS on top of it; undefined where octets wait that nobody read: they were not sent by the server (RFC 2595). */
  detach(): Socket | undefined {
    const raw = this.#raw;
    const waiting = this.readableLength;
    this.#isDetached = true;
    raw.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('timeout', this.#onTimeout);
    raw.off('error', this.#onError).on('error', () => {});
    return waiting > 0 ? undefined : raw;
  }

  // What imapflow uses of a socket.

  setTimeout(ms: number): this {
    this.#raw.setTimeout(ms);
    return this;
  }

  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    this.#raw.setKeepAlive(enable, initialDelay);
    return this;
  }

  getCipher(): CipherNameAndProtocol | null {
    return this.#raw instanceof TLSSocket ? this.#raw.getCipher() : null;
  }

  get authorized(): boolean | undefined {
    return this.#raw instanceof TLSSocket ? this.#raw.authorized : undefined;
  }

  override _read(): void {
    this.letGo(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#keeper !== undefined) {
      done();
      return;
    }
    const shortcut = this.#shortcuts.of(chunk.toString('latin1'));
    if (shortcut === undefined) {
      this.#raw.write(chunk, done);
      return;
    }
    if (shortcut.answer !== '') setImmediate(() => !this.destroyed && this.push(Buffer.from(shortcut.answer, 'latin1')));
    if (shortcut.send === '') done();
    else this.#raw.write(shortcut.send, 'latin1', done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#raw.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#lose(error ?? undefined);
    if (!this.#isDetached) this.#raw.destroy();
    done(error);
  }

  #lose(error: Error | undefined): void {
    this.#handOnGathered();
    const keeper = this.#keeper;
    this.#keeper = undefined;
    keeper?.lost(error);
  }

  #handOn(octets: Buffer): void {
    this.#loginOctets += octets.length;
    if (this.#loginOctets > MAX_LOGIN_OCTETS)
      this.destroy(new UpstreamError('protocol', 'the server talks without an end before the login'));
    else if (!this.push(octets)) this.hold(this);
  }

  /** TLS gives a chunk for every record, and some servers make records of 4 KiB: what comes at once is handed on at once. */
  readonly #onData = (chunk: Buffer): void => {
    if (this.#keeper === undefined) this.#handOn(chunk);
    else if (!(this.#raw instanceof TLSSocket)) this.#keeper.receive(chunk);
    else {
      if (this.#gathered.length === 0) setImmediate(this.#handOnGathered);
      this.#gathered.push(chunk);
      this.#gatheredOctets += chunk.length;
      if (this.#gatheredOctets >= GATHER_OCTETS) this.#handOnGathered();
    }
  };

  readonly #handOnGathered = (): void => {
    const [first, ...others] = this.#gathered;
    if (first === undefined) return;
    const octets = others.length === 0 ? first : Buffer.concat(this.#gathered, this.#gatheredOctets);
    this.#gathered = [];
    this.#gatheredOctets = 0;
    this.#keeper?.receive(octets);
  };

  readonly #sendGathered = (): void => {
    const octets = this.#toSend;
    this.#toSend = '';
    if (!this.#raw.destroyed) this.#raw.write(octets, 'latin1');
  };

  readonly #onEnd = (): void => {
    this.#lose(undefined);
    this.push(null);
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };

  readonly #onClose = (): void => {
    this.destroy();
  };

  readonly #onTimeout = (): void => {
    if (this.#keeper !== undefined) this.#keeper.quiet();
    else this.emit('timeout');
  };
}
