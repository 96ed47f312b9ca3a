/** The bench's hand on the proxy process. A process of its own, so that it and the load don't wait for each other. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ProxyAnswer, ProxyRequest } from './messages.ts';
import type { Traffic } from './traffic.ts';

const PROGRAM = fileURLToPath(new URL('proxy-process.ts', import.meta.url));

/** A running proxy process. */
export class ProxyHandle implements AsyncDisposable {
  readonly #child: ChildProcess = fork(PROGRAM);
  #last: Promise<unknown> = Promise.resolve();

  /** A link to a server on this machine: the port to connect to instead of the server's. */
  async link(targetPort: number): Promise<number> {
    const answer = await this.#ask({ ask: 'listen', targetPort });
    if (!('port' in answer)) throw new Error('the proxy does not listen');
    return answer.port;
  }

  /** How far away the servers are from now on. */
  async delay(rttMs: number): Promise<void> {
    await this.#ask({ ask: 'delay', rttMs });
  }

  /** What has passed through a link. */
  async traffic(port: number): Promise<Traffic> {
    const answer = await this.#ask({ ask: 'traffic', port });
    if (!('traffic' in answer)) throw new Error('the proxy knows no such link');
    return answer.traffic;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.disconnect();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }

  #ask(request: ProxyRequest): Promise<ProxyAnswer> {
    const answered = this.#last.then(async () => {
      this.#child.send(request);
      const [answer] = (await once(this.#child, 'message')) as [ProxyAnswer];
      return answer;
    });
    this.#last = answered.catch(() => {});
    return answered;
  }
}
