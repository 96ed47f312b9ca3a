/** DNS and https for a program that is started with `variables`: what domains publish about themselves, without leaving this machine. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { SrvRecord } from '../../src/accounts/discovery/discover.ts';
import type { Certificates } from './peers/certificates.ts';

const PRELOAD = fileURLToPath(new URL('small-internet.cjs', import.meta.url));
const HEADER_OCTETS = 12;
/** RFC 1035 section 4.1.1: an answer with recursion, to a name that does not exist perhaps. */
const ANSWER = 0x8180;
const NO_SUCH_NAME = 3;
const SRV = 33;
const INTERNET = 1;
/** The name of the question, again. */
const POINTER = 0xc000 + HEADER_OCTETS;

export class SmallInternet implements AsyncDisposable {
  /** By name. */
  readonly srv = new Map<string, SrvRecord>();
  /** By host and path. */
  readonly pages = new Map<string, RequestListener>();
  readonly #dns: Socket = createSocket('udp4');
  readonly #https: Server;
  readonly #certificates: Certificates;

  private constructor(certificates: Certificates) {
    this.#certificates = certificates;
    this.#https = createServer(
      { cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) },
      (request, response) => {
        const { host = '', url = '' } = { host: request.headers.host, url: request.url };
        const page = this.pages.get(`${host}${url.split('?')[0]}`);
        if (page === undefined) response.writeHead(404).end();
        else page(request, response);
      },
    );
    this.#dns.on('message', (question, { port, address }) => this.#dns.send(this.#answer(question), port, address));
  }

  static async start(certificates: Certificates): Promise<SmallInternet> {
    const internet = new SmallInternet(certificates);
    internet.#dns.bind(0, '127.0.0.1');
    internet.#https.listen(0, '127.0.0.1');
    await Promise.all([once(internet.#dns, 'listening'), once(internet.#https, 'listening')]);
    return internet;
  }

  /** For the environment of the program. */
  get variables(): Readonly<Record<string, string>> {
    return {
      NODE_OPTIONS: `--require ${PRELOAD}`,
      NODE_EXTRA_CA_CERTS: this.#certificates.ca,
      SMALL_INTERNET_DNS: String(this.#dns.address().port),
      SMALL_INTERNET_HTTPS: String((this.#https.address() as AddressInfo).port),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#https.closeAllConnections();
    await Promise.all([
      new Promise((resolve) => this.#https.close(resolve)),
      new Promise<void>((resolve) => this.#dns.close(() => resolve())),
    ]);
  }

  #answer(question: Buffer): Buffer {
    const labels: string[] = [];
    let at = HEADER_OCTETS;
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const end = at + 5;
    const record = question.readUInt16BE(at + 1) === SRV ? this.srv.get(labels.join('.').toLowerCase()) : undefined;
    const header = Buffer.alloc(HEADER_OCTETS);
    question.copy(header, 0, 0, 2);
    header.writeUInt16BE(record === undefined ? ANSWER + NO_SUCH_NAME : ANSWER, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(record === undefined ? 0 : 1, 6);
    return Buffer.concat([header, question.subarray(HEADER_OCTETS, end), record === undefined ? Buffer.alloc(0) : srvAnswer(record)]);
  }
}

/** RFC 2782. */
function srvAnswer({ name, port, priority, weight }: SrvRecord): Buffer {
  const target = Buffer.concat([
    ...name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1')),
    Buffer.alloc(1),
  ]);
  const head = Buffer.alloc(18);
  for (const [place, value] of [POINTER, SRV, INTERNET, 0, 60, 6 + target.length, priority, weight, port].entries())
    head.writeUInt16BE(value, 2 * place);
  return Buffer.concat([head, target]);
}
