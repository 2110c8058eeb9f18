// agent_peers.js LIST NPM RULES - CPU time a user agent, of parsers from npm, nothing kept
// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
const [list, npm, rules] = process.argv.slice(2);
const texts = fs.readFileSync(list, 'utf8').split('\n').filter(Boolean);
const load = (name) => require(npm + '/node_modules/' + name);
const { UAParser } = load('ua-parser-js');
const reference = load('uap-ref-impl')(load('js-yaml').load(fs.readFileSync(rules, 'utf8')));
const peers = {
  'ua-parser-js': (text) => new UAParser(text).getResult(),
  'uap-ref-impl': (text) => reference.parse(text),
};
for (const [name, parse] of Object.entries(peers)) {
  let best = Infinity;
  for (let round = 0; round < 3; round++) {
    const start = process.cpuUsage();
    for (const text of texts) parse(text);
    const used = process.cpuUsage(start);
    best = Math.min(best, (used.user + used.system) * 1000 / texts.length);
  }
  console.log(`${name.padEnd(28)} ${best.toFixed(0).padStart(9)} ns each ${(1e3 / best).toFixed(4).padStart(9)} M/s and core`);
}
