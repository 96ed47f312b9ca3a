// Preloaded into a daemon: at SIGUSR2 so many milliseconds pass at once, for its clocks and its timers, as the file TIME_MACHINE says; `.taken` tells that they have.
// TIME_MACHINE_AHEAD: so many have passed when it starts.
const { readFileSync, writeFileSync } = require('node:fs');

const real = { setTimeout, clearTimeout, now: performance.now.bind(performance), date: Date.now };
const pending = new Set();
let passed = Number(process.env.TIME_MACHINE_AHEAD ?? 0);

performance.now = () => real.now() + passed;
Date.now = () => real.date() + passed;

class Timer {
  constructor(run, ms) {
    this.run = run;
    this.ms = ms;
    this.isUnref = false;
    this.refresh();
  }

  refresh() {
    this.due = performance.now() + this.ms;
    pending.add(this);
    return this.arm();
  }

  arm() {
    real.clearTimeout(this.handle);
    this.handle = real.setTimeout(
      () => {
        pending.delete(this);
        this.run();
      },
      Math.max(0, this.due - performance.now()),
    );
    return this.isUnref ? this.unref() : this;
  }

  unref() {
    this.isUnref = true;
    this.handle.unref();
    return this;
  }

  ref() {
    this.isUnref = false;
    this.handle.ref();
    return this;
  }

  hasRef() {
    return !this.isUnref;
  }

  close() {
    pending.delete(this);
    real.clearTimeout(this.handle);
    return this;
  }
}

globalThis.setTimeout = (run, ms = 0, ...args) => new Timer(() => run(...args), ms);
globalThis.clearTimeout = (timer) => (timer instanceof Timer ? void timer.close() : real.clearTimeout(timer));

process.on('SIGUSR2', () => {
  passed += Number(readFileSync(process.env.TIME_MACHINE, 'utf8'));
  for (const timer of pending) timer.arm();
  writeFileSync(`${process.env.TIME_MACHINE}.taken`, '');
});
