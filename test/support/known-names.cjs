// Preloaded into a daemon: names are looked up in the file KNOWN_NAMES alone, a `name address` in each line; no other name can be resolved.
const dns = require('node:dns');
const { readFileSync } = require('node:fs');
const { isIP } = require('node:net');

const { lookup } = dns;
dns.lookup = (host, options, done) => {
  if (isIP(host) !== 0) return lookup(host, options, done);
  const lines = readFileSync(process.env.KNOWN_NAMES, 'utf8').split('\n');
  const address = lines.map((line) => line.split(' ')).find(([name]) => name === host)?.[1];
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: host });
  if (address === undefined) return process.nextTick(done, error);
  return lookup(address, options, done);
};
