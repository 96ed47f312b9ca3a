// Loaded before the program: the servers of a test are the whole internet. Names are asked of its DNS server, and whatever https goes to, it reaches
// the test's server, which must still show a certificate for the name that was meant.
const dns = require('node:dns');
const { syncBuiltinESMExports } = require('node:module');
const tls = require('node:tls');

const { SMALL_INTERNET_DNS: dnsPort, SMALL_INTERNET_HTTPS: httpsPort } = process.env;

dns.setServers([`127.0.0.1:${dnsPort}`]);
const { connect } = tls;
tls.connect = (options, ...rest) => connect({ ...options, host: '127.0.0.1', port: Number(httpsPort) }, ...rest);
syncBuiltinESMExports();
