#!/usr/bin/env node
/** The program's first step: an old Node must be told apart before anything modern is imported. */
const MINIMUM_NODE = 24;
const EXIT_CONFIG = 78;

// Without a listener this signal makes Node open a port for a debugger, and whoever connects there can read every password.
process.on('SIGUSR1', () => {});

if (Number(process.versions.node.split('.')[0]) < MINIMUM_NODE) {
  process.stderr.write(`popbridge: Node ${MINIMUM_NODE} or newer is needed; this is ${process.versions.node}\n`);
  process.exitCode = EXIT_CONFIG;
} else {
  const { runProgram } = await import('./program.ts');
  await runProgram();
}
