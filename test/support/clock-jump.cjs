// Preloaded into a daemon: after SIGUSR2 its wall clock is wrong by the milliseconds that stand in the file CLOCK_JUMP names; `.taken` tells that it is.
const { readFileSync, writeFileSync } = require('node:fs');

const now = Date.now;
let offset = 0;
Date.now = () => now() + offset;

process.on('SIGUSR2', () => {
  offset = Number(readFileSync(process.env.CLOCK_JUMP, 'utf8'));
  writeFileSync(`${process.env.CLOCK_JUMP}.taken`, '');
});
