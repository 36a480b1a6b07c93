// npm daraja 1.0.1, whose hosts are written in its code: what it sends to them goes to the simulator.
// The protocol is that of listening.py: lines of JSON.
const [prefix, url] = process.argv.slice(2);
const http = require('http');
const https = require('https');
const readline = require('readline');
const path = require('path');

const simulator = new URL(url);
https.request = (options, answered) =>
  http.request({
    method: options.method,
    path: options.path,
    headers: { ...options.headers, host: simulator.host },
    host: simulator.hostname,
    port: simulator.port
  }, answered);

const folder = path.join(prefix, 'node_modules', 'daraja');
const { Mpesa } = require(folder);
const client = new Mpesa(174379, 'simulator', 'simulator');
const tell = answer => process.stdout.write(`${JSON.stringify(answer)}\n`);

tell({ version: require(path.join(folder, 'package.json')).version, changed: [] });
(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [operation, ...given] = JSON.parse(line);
    try {
      tell(await client[operation](...given));
    } catch (error) {
      tell({ raised: error.name, said: error.message });
    }
  }
})();
