/** Stands in for the service manager: a NOTIFY_SOCKET and what came in on it. Python holds the socket, because Node.js can't. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { poll } from '../support/peers/daemon-process.ts';
import { peerPath } from '../support/peers/peer.ts';

const WAIT_MS = 10_000;

/** A notification socket of a test. */
export class NotifyReceiver implements AsyncDisposable {
  /** The value for NOTIFY_SOCKET. */
  readonly path: string;
  /** Every notification so far, such as `READY=1\nSTATUS=…`. */
  readonly messages: string[] = [];
  readonly #folder: string;
  readonly #child: ChildProcess;
  #listening = false;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'notify');
    const child = spawn(peerPath('python3'), ['-I', join(import.meta.dirname, 'notify-receiver.py'), this.path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (this.#listening) this.messages.push(String(JSON.parse(line)));
      this.#listening = true;
    });
  }

  /** Opens the socket; it accepts notifications when this resolves. */
  static async start(): Promise<NotifyReceiver> {
    const receiver = new NotifyReceiver(await mkdtemp(join(tmpdir(), 'popbridge-notify-')));
    if (!(await poll(() => receiver.#listening, WAIT_MS))) throw new Error('the notification socket did not open');
    return receiver;
  }

  /** Waits for a notification with this assignment, such as `READY=1`. */
  async waitFor(assignment: string): Promise<void> {
    const arrived = await poll(() => this.messages.some((message) => message.split('\n').includes(assignment)), WAIT_MS);
    if (!arrived) throw new Error(`no ${assignment}, only ${JSON.stringify(this.messages)}`);
  }

  /** Closes and removes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.stdin?.end();
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
