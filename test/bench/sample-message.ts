/** Messages of a given size, made of a seed and nothing else; pure. */
import { type Random, seededRandom } from './seeded-random.ts';

const LINE = 78;
const LINES = 8192;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** One line in so many begins with a dot, so that nobody gets around stuffing. */
const DOTTED = 200;
const SMALLEST = 512;

/** Makes messages; the nth one of a seed is always the same. */
export class SampleMessages {
  readonly #random: Random;
  readonly #text: Buffer;
  readonly #seed: number;
  #made = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
    this.#text = bodyText(this.#random);
  }

  /** The next message, of exactly so many octets, with CRLF line ends. */
  next(octets: number): Buffer {
    const header = this.#header();
    if (octets < SMALLEST) throw new Error(`a message has at least ${SMALLEST} octets`);
    const message = Buffer.allocUnsafe(octets);
    let at = header.copy(message);
    let from = LINE * Math.floor(this.#random() * LINES);
    while (at < octets) {
      at += this.#text.copy(message, at, from);
      from = 0;
    }
    message.write('=\r\n', octets - 3, 'latin1');
    if (message[octets - 4] === 0x0d) message.write('=', octets - 4, 'latin1');
    return message;
  }

  #header(): Buffer {
    this.#made += 1;
    const id = `${this.#seed.toString(36)}.${this.#made}`;
    const lines = [
      `Received: from mx${this.#made % 7}.example.com by mail.example.net with ESMTP id ${id}; Mon, 5 Jan 2026 10:00:00 +0000`,
      `From: Sender ${this.#made % 97} <sender${this.#made % 97}@example.com>`,
      'To: Recipient <recipient@example.net>',
      `Subject: message ${this.#made} of the bench`,
      'Date: Mon, 5 Jan 2026 10:00:00 +0000',
      `Message-ID: <${id}@bench.example.com>`,
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=us-ascii',
    ];
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  }
}

function bodyText(random: Random): Buffer {
  const letters = Buffer.from(LETTERS, 'latin1');
  const text = Buffer.allocUnsafe(LINE * LINES);
  for (let at = 0; at < text.length; at += 1) text[at] = letters[Math.floor(random() * letters.length)] ?? 0;
  for (let line = 0; line < LINES; line += 1) {
    text.write('\r\n', line * LINE + LINE - 2, 'latin1');
    if (line % DOTTED === 0) text.write('.', line * LINE, 'latin1');
  }
  return text;
}
