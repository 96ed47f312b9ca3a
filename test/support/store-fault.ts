/** Makes the nth statement of a daemon's store fail, or the daemon die there; see store-fault.cjs. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BridgeProcess } from './bridge-process.ts';
import { until } from './until.ts';

const PRELOADED = fileURLToPath(new URL('store-fault.cjs', import.meta.url));

export class StoreFault implements Disposable {
  /** Of the environment of the daemons. */
  readonly variables: Readonly<Record<string, string>>;
  readonly #folder = mkdtempSync(join(tmpdir(), 'popbridge-store-fault-'));
  readonly #path = join(this.#folder, 'statement');

  constructor() {
    this.variables = { NODE_OPTIONS: `--require ${PRELOADED}`, STORE_FAULT: this.#path };
  }

  /** From now on, the nth statement, once; 0 for none. */
  async arm(bridge: BridgeProcess, nth: number, how: 'fail' | 'kill' | 'trace' = 'fail'): Promise<void> {
    writeFileSync(this.#path, `${nth} ${how}`);
    bridge.kill('SIGUSR2');
    await until(() => existsSync(`${this.#path}.taken`));
    rmSync(`${this.#path}.taken`);
  }

  /** The nth statement of every daemon that starts from now on, counted from its start. */
  armStart(nth: number, how: 'kill' | 'trace'): void {
    writeFileSync(`${this.#path}.start`, `${nth} ${how}`);
  }

  /** Since it was armed. */
  get hasStruck(): boolean {
    return existsSync(`${this.#path}.struck`);
  }

  /** Tells whether it has struck, and forgets it. */
  takeStruck(): boolean {
    const { hasStruck } = this;
    rmSync(`${this.#path}.struck`, { force: true });
    return hasStruck;
  }

  /** Statements that changed the store since it was traced. */
  get trace(): string[] {
    return existsSync(`${this.#path}.trace`) ? readFileSync(`${this.#path}.trace`, 'utf8').split('\n').slice(0, -1) : [];
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
