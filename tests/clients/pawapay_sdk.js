// npm pawapay-sdk 1.0.3 in its v2, whose hosts are written in its code: the simulator is in their place.
// The protocol is that of listening.py: lines of JSON.
const [prefix, url] = process.argv.slice(2);
const path = require('path');
const readline = require('readline');

const axios = require(path.join(prefix, 'node_modules', 'axios'));
const create = axios.create;
axios.create = config =>
  create({ ...config, baseURL: config.baseURL.replace('https://api.sandbox.pawapay.io', url) });

const folder = path.join(prefix, 'node_modules', 'pawapay-sdk');
const { createPawaPayClient } = require(folder);
const client = createPawaPayClient('simulator', { apiVersion: 'v2', environment: 'sandbox' });
const tell = answer => process.stdout.write(`${JSON.stringify(answer)}\n`);

tell({ version: require(path.join(folder, 'package.json')).version, changed: [] });
(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [operation, ...given] = JSON.parse(line);
    const { success, status, data, error } = await client[operation](...given);
    tell({ success, status, said: success ? data : error });
  }
})();
