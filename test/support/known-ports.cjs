// Loaded before the program: what goes to the first port of KNOWN_PORTS (`1143 40000`) reaches the second one.
const { syncBuiltinESMExports } = require('node:module');
const net = require('node:net');

const [meant, real] = process.env.KNOWN_PORTS.split(' ').map(Number);

const { connect } = net;
net.connect = (options, ...rest) => connect(options.port === meant ? { ...options, port: real } : options, ...rest);
syncBuiltinESMExports();
