// Preloaded into a daemon under soak: at SIGUSR2 it tells what is alive after a full collection.
const { renameSync, writeFileSync } = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

process.on('SIGUSR2', () => {
  collect();
  const counts = {};
  for (const resource of process.getActiveResourcesInfo()) counts[resource] = (counts[resource] ?? 0) + 1;
  const { rss, heapTotal, heapUsed, arrayBuffers } = process.memoryUsage();
  const path = process.env.RESOURCE_PROBE;
  writeFileSync(`${path}.new`, JSON.stringify({ rss, heapTotal, heapUsed, arrayBuffers, resources: counts }));
  renameSync(`${path}.new`, path);
});
