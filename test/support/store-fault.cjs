// Preloaded into a daemon: after SIGUSR2 the nth statement of its store fails, once, as if the disk were full, or the daemon dies there as by kill -9. The
// file that STORE_FAULT names (or, with `.start` behind it, one that is there when the daemon starts) holds the number, and behind it `fail` or `kill`; 0 lets all go well again, and with `trace` behind it is written down. Next to it `.taken` tells that it was read,
// `.struck` that the fault has come to pass, and `.trace` what was done. `kill` and `trace` count only what changes the store: what reads leaves nothing behind.
const { appendFileSync, existsSync, readFileSync, writeFileSync } = require('node:fs');
const sqlite = require('node:sqlite');

const CHANGES = new Set(['exec', 'run']);
let left = 0;
let how = 'fail';

function arm(path) {
  const [number, what = 'fail'] = readFileSync(path, 'utf8').split(' ');
  [left, how] = [Number(number), what];
}

if (existsSync(`${process.env.STORE_FAULT}.start`)) arm(`${process.env.STORE_FAULT}.start`);
process.on('SIGUSR2', () => {
  arm(process.env.STORE_FAULT);
  writeFileSync(`${process.env.STORE_FAULT}.taken`, '');
});

function note(sql) {
  appendFileSync(`${process.env.STORE_FAULT}.trace`, `${sql.replaceAll(/\s+/g, ' ')}\n`);
}

function strike() {
  writeFileSync(`${process.env.STORE_FAULT}.struck`, '');
  if (how === 'kill') process.kill(process.pid, 'SIGKILL');
  throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
}

for (const [made, names] of [
  [sqlite.DatabaseSync, ['exec', 'prepare']],
  [sqlite.StatementSync, ['run', 'get', 'all', 'iterate']],
]) {
  for (const name of names) {
    const original = made.prototype[name];
    made.prototype[name] = function (...args) {
      if (how === 'trace' && CHANGES.has(name)) note(this.sourceSQL ?? args[0]);
      if (left > 0 && (how !== 'kill' || CHANGES.has(name)) && (left -= 1) === 0) strike();
      return original.apply(this, args);
    };
  }
}
