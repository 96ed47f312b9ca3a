/** A TCP proxy that is as far away as it is told: half a round trip each way, one more for connecting, no limit to the throughput. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { DelayLine } from './delay-line.ts';
import { addTraffic, NO_TRAFFIC, type Traffic, TrafficMeter } from './traffic.ts';

/** A listener on a loopback port before a server on another. */
export class DelayProxy {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #open = new Set<TrafficMeter>();
  #ended: Traffic = NO_TRAFFIC;
  #rttMs = 0;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  /** Listens on a free port. */
  static async listen(targetPort: number): Promise<DelayProxy> {
    const proxy = new DelayProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on, for what is sent on open connections too. */
  set rttMs(rttMs: number) {
    this.#rttMs = rttMs;
  }

  /** Of all connections there have been. */
  traffic(): Traffic {
    return [...this.#open].reduce((sum, meter) => addTraffic(sum, meter.traffic()), this.#ended);
  }

  /**
   * The client's SYN takes half a round trip, the answer to it another, and the server accepts when the client's ACK has come, half a round trip
   * later. That the kernels connect at once makes no difference: nothing arrives any earlier.
   */
  #accept(client: Socket): void {
    const meter = new TrafficMeter();
    this.#open.add(meter);
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const delayMs = (): number => this.#rttMs / 2;
    const now = performance.now();
    const lines = [
      new DelayLine({ from: client, to: server, delayMs, opensAt: now + this.#rttMs, onCome: (chunk) => meter.up(chunk) }),
      new DelayLine({ from: server, to: client, delayMs, opensAt: now + this.#rttMs * 1.5, onGo: (chunk) => meter.down(chunk) }),
    ];
    // Only a failure ends both at once. An end that was sent is on its way like everything before it.
    const cut = (): void => {
      for (const line of lines) line.cut();
      for (const socket of [client, server]) socket.destroy();
    };
    const closed = (): void => {
      if (client.closed && server.closed && this.#open.delete(meter)) this.#ended = addTraffic(this.#ended, meter.traffic());
    };
    for (const socket of [client, server]) socket.on('error', cut).on('close', closed);
  }

  /** Stops listening; open connections end when their ends do. */
  close(): void {
    this.#server.close();
  }
}
