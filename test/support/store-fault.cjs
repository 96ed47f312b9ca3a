// Preloaded into a daemon: after SIGUSR2 the nth statement of its store fails, once, as if the disk were full. The number stands in the file that
// STORE_FAULT names; 0 lets all go well again. Next to it `.taken` tells that the number was read, `.struck` that the statement has failed.
const { readFileSync, writeFileSync } = require('node:fs');
const sqlite = require('node:sqlite');

let left = 0;

process.on('SIGUSR2', () => {
  left = Number(readFileSync(process.env.STORE_FAULT, 'utf8'));
  writeFileSync(`${process.env.STORE_FAULT}.taken`, '');
});

for (const [made, names] of [
  [sqlite.DatabaseSync, ['exec', 'prepare']],
  [sqlite.StatementSync, ['run', 'get', 'all', 'iterate']],
]) {
  for (const name of names) {
    const original = made.prototype[name];
    made.prototype[name] = function (...args) {
      if (left > 0 && (left -= 1) === 0) {
        writeFileSync(`${process.env.STORE_FAULT}.struck`, '');
        throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
      }
      return original.apply(this, args);
    };
  }
}
