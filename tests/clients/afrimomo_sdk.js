// npm afrimomo-sdk 0.3.2, which speaks version 1 of pawaPay, with the simulator as its sandboxUrl.
// The protocol is that of listening.py, lines of JSON; its log goes to stdout, so a child runs it
// whose stdout is our stderr.
const [prefix, url, child] = process.argv.slice(2);
const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const run = () => {
  const folder = path.join(prefix, 'node_modules', 'afrimomo-sdk');
  const { PawaPay } = require(folder);
  const client = new PawaPay('simulator', 'DEVELOPMENT', url);
  const tell = answer => fs.writeSync(3, `${JSON.stringify(answer)}\n`);
  tell({ version: require(path.join(folder, 'package.json')).version, changed: [] });
  (async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
      const [operation, ...given] = JSON.parse(line);
      const [part, name] = operation.split('.');
      tell(await (name ? client[part][name](...given) : client[part](...given)));
    }
    process.exit();
  })();
};

if (child) {
  run();
} else {
  spawn(process.execPath, [__filename, prefix, url, 'child'], { stdio: ['inherit', 2, 2, 1] });
}
