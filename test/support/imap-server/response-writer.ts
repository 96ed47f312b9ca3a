/** The one place that writes to a client: gathers a response, sends it in large pieces and waits while the client doesn't read. */
import type { Socket } from 'node:net';

const CHUNK_OCTETS = 64 * 1024;

export class ResponseWriter {
  #socket: Socket;
  #text = '';
  #pieces: Buffer[] = [];
  #gathered = 0;
  #isMuted = false;
  #octetsBeforeCut: number | undefined;
  #isCut = false;
  #rewrite: ((text: string) => string) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether `cutAfter` came true. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Goes on over another socket (after STARTTLS). */
  moveTo(socket: Socket): void {
    this.#socket = socket;
  }

  /** While muted all that is written is lost, on purpose; continuation requests aren't, or the command would never end. */
  mute(isMuted: boolean): void {
    this.#isMuted = isMuted;
  }

  /** Ends the connection once `octets` more were sent; `undefined` takes it back. */
  cutAfter(octets: number | undefined): void {
    if (!this.#isCut) this.#octetsBeforeCut = octets;
  }

  /** From now on each piece of text is told as that makes it; `undefined` takes it back. */
  rewriteBy(rewrite: ((text: string) => string) | undefined): void {
    this.#rewrite = rewrite;
  }

  /** Adds text, one octet a character. */
  text(text: string): void {
    if (this.#isMuted) return;
    const told = this.#rewrite?.(text) ?? text;
    this.#text += told;
    this.#gathered += told.length;
  }

  /** Adds a line in UTF-8. */
  line(text: string): void {
    this.octets(Buffer.from(`${text}\r\n`));
  }

  /** Asks the client for the rest of its command. */
  continuation(prompt: string): void {
    const isMuted = this.#isMuted;
    this.#isMuted = false;
    this.line(`+ ${prompt}`);
    this.#isMuted = isMuted;
  }

  octets(octets: Buffer): void {
    if (this.#isMuted) return;
    this.#closeText();
    this.#pieces.push(octets);
    this.#gathered += octets.length;
  }

  /** Adds a literal; a large one is sent piece by piece as the client takes it. */
  async literal(octets: Buffer): Promise<void> {
    this.text(`{${octets.length}}\r\n`);
    for (let at = 0; at < octets.length; at += CHUNK_OCTETS) {
      this.octets(octets.subarray(at, at + CHUNK_OCTETS));
      await this.flushIfLarge();
    }
  }

  async flushIfLarge(): Promise<void> {
    if (this.#gathered >= CHUNK_OCTETS) await this.flush();
  }

  /** Sends what was gathered at once; settles when the client may be sent more. */
  async flush(): Promise<void> {
    const octets = this.#taken();
    if (this.#isCut || this.#socket.destroyed || !this.#socket.writable) return;
    if (this.#octetsBeforeCut !== undefined && octets.length >= this.#octetsBeforeCut) {
      this.#cut(octets.subarray(0, this.#octetsBeforeCut));
      return;
    }
    if (this.#octetsBeforeCut !== undefined) this.#octetsBeforeCut -= octets.length;
    if (octets.length > 0 && !this.#socket.write(octets)) await drained(this.#socket);
  }

  #cut(last: Buffer): void {
    this.#isCut = true;
    if (last.length > 0) this.#socket.write(last);
    this.#socket.destroySoon();
  }

  #taken(): Buffer {
    this.#closeText();
    const [first, ...others] = this.#pieces;
    this.#pieces = [];
    this.#gathered = 0;
    if (first === undefined) return Buffer.alloc(0);
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }

  #closeText(): void {
    if (this.#text === '') return;
    this.#pieces.push(Buffer.from(this.#text, 'latin1'));
    this.#text = '';
  }
}

async function drained(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const settle = (): void => {
    socket.off('drain', settle);
    socket.off('close', settle);
    resolve();
  };
  socket.on('drain', settle);
  socket.on('close', settle);
  await promise;
}
