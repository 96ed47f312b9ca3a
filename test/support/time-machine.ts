/** Lets time pass for a daemon without waiting for it: its clocks jump, and what was to happen meanwhile happens. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BridgeProcess } from './bridge-process.ts';
import { until } from './until.ts';

const PRELOAD = fileURLToPath(new URL('time-machine.cjs', import.meta.url));

export class TimeMachine implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'popbridge-time-'));

  /** For the environment of the daemon. */
  get variables(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `--require ${PRELOAD}`, TIME_MACHINE: this.#path };
  }

  /** The same for a daemon for which so many seconds have passed when it starts. */
  ahead(seconds: number): Readonly<Record<string, string>> {
    return { ...this.variables, TIME_MACHINE_AHEAD: String(seconds * 1000) };
  }

  /** Resolves when so many seconds have passed for it, all at once. */
  async pass(bridge: BridgeProcess, seconds: number): Promise<void> {
    writeFileSync(this.#path, String(seconds * 1000));
    bridge.kill('SIGUSR2');
    await until(() => existsSync(`${this.#path}.taken`));
    rmSync(`${this.#path}.taken`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }

  get #path(): string {
    return join(this.#folder, 'seconds');
  }
}
