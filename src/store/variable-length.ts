/** Numbers and texts as octets: seven bits an octet, the lowest first. Pure. */

/** Of a safe integer, in octets. */
const LONGEST_NUMBER = 8;

/** Small numbers stay small, negative ones too. */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

export function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

/** Grows as it is written to. */
export class OctetWriter {
  #octets = Buffer.alloc(1024);
  #length = 0;

  /** Sizes pass 2^32, so there are no bit operators here. */
  number(value: number): void {
    this.#need(LONGEST_NUMBER);
    let rest = value;
    while (rest >= 128) {
      this.#octets[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#octets[this.#length++] = rest;
  }

  /** Text of 8-bit characters. */
  text(text: string): void {
    this.number(text.length);
    this.#need(text.length);
    this.#length += this.#octets.write(text, this.#length, 'latin1');
  }

  base64url(text: string): void {
    this.#need(text.length);
    this.#length += this.#octets.write(text, this.#length, 'base64url');
  }

  /** All that was written. */
  octets(): Uint8Array {
    return Uint8Array.from(this.#octets.subarray(0, this.#length));
  }

  #need(octets: number): void {
    if (this.#length + octets > this.#octets.length)
      this.#octets = Buffer.concat([this.#octets, Buffer.alloc(this.#octets.length + octets)]);
  }
}

/** Every method throws RangeError where the octets hold no such thing. */
export class OctetReader {
  readonly #octets: Uint8Array;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#octets.length;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const octet = this.#octets[this.#at];
      if (octet === undefined || !Number.isSafeInteger(scale)) throw new RangeError('a UID map segment is cut short');
      this.#at += 1;
      value += (octet % 128) * scale;
      if (!Number.isSafeInteger(value)) throw new RangeError('a UID map segment holds a number that is too large');
      if (octet < 128) return value;
    }
  }

  count(most: number): number {
    const count = this.number();
    if (count > most) throw new RangeError('a UID map segment holds too many rows');
    return count;
  }

  octets(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#octets.length) throw new RangeError('a UID map segment is cut short');
    const octets = Buffer.from(this.#octets.subarray(this.#at, end));
    this.#at = end;
    return octets;
  }

  text(): string {
    return this.octets(this.number()).toString('latin1');
  }
}
