/**
 * Mailboxes of a Dovecot, made within moments: each kind of mail is written once, and the messages of a mailbox are hard links to it. 100,000
 * messages take about two seconds.
 */
import { chownSync, linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot } from '../support/peers/locate.ts';
import { mailOwner, type Owner } from '../support/peers/mail-owner.ts';
import { SampleMessages } from './sample-message.ts';
import { lognormalSizes, seededRandom } from './seeded-random.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SEED = 19_391_110;

/** The kinds of mail, as sizes of different messages; longer mailboxes begin again. */
const KINDS = {
  small: () => Array.from({ length: 1000 }, () => 4 * KIB),
  mixed: () => lognormalSizes(seededRandom(SEED), 500, 190_000_000, 1500),
  big: () => Array.from({ length: 4 }, () => 25 * MIB),
  medium: () => [10 * MIB],
} as const satisfies Record<string, () => readonly number[]>;

/** What is in a mailbox. */
export interface MailboxKind {
  readonly kind: keyof typeof KINDS;
  readonly messages: number;
}

interface Sample {
  readonly path: string;
  readonly octets: number;
}

/** Writes below a Dovecot's `mail` folder. */
export class MailSpool {
  readonly #mailFolder: string;
  readonly #owner: Owner;
  readonly #samples = new Map<string, readonly Sample[]>();

  private constructor(mailFolder: string, owner: Owner) {
    this.#mailFolder = mailFolder;
    this.#owner = owner;
  }

  static async open(dovecotFolder: string): Promise<MailSpool> {
    return new MailSpool(join(dovecotFolder, 'mail'), await mailOwner());
  }

  /** Gives a user a mailbox; the octets of its messages together. */
  fill(user: string, { kind, messages }: MailboxKind): number {
    const samples = this.#samplesOf(kind);
    const maildir = join(this.#folder(user), 'Maildir');
    for (const path of [maildir, ...['cur', 'new', 'tmp'].map((name) => join(maildir, name))]) this.#makeFolder(path);
    let octets = 0;
    for (let index = 0; index < messages; index += 1) {
      const sample = samples[index % samples.length];
      if (sample === undefined) throw new Error(`no mail of kind ${kind}`);
      // Named by number, so that the order is that of the samples.
      const name = `1767600000.M${String(index).padStart(9, '0')}P1.bench,S=${sample.octets},W=${sample.octets}:2,`;
      linkSync(sample.path, join(maildir, 'cur', name));
      octets += sample.octets;
    }
    return octets;
  }

  #samplesOf(kind: MailboxKind['kind']): readonly Sample[] {
    const known = this.#samples.get(kind);
    if (known !== undefined) return known;
    const folder = this.#folder(`sample-${kind}`);
    const messages = new SampleMessages(SEED + kind.length);
    const samples = KINDS[kind]().map((octets, index) => {
      const path = join(folder, String(index));
      writeFileSync(path, messages.next(octets), { mode: 0o600 });
      this.#own(path);
      return { path, octets };
    });
    this.#samples.set(kind, samples);
    return samples;
  }

  #folder(name: string): string {
    const folder = join(this.#mailFolder, name);
    this.#makeFolder(folder);
    return folder;
  }

  #makeFolder(path: string): void {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    this.#own(path);
  }

  #own(path: string): void {
    if (isRoot) chownSync(path, this.#owner.uid, this.#owner.gid);
  }
}
