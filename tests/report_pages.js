// report_pages.js - the dashboard in headless Chromium, as a person would: report_pages.js DIR PAGE..
// DIR has the demo shop with its truth.json, report.port, collect.port and the write key in millrace.yaml;
// tests/pages/PAGE.js are run in order.
// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
const path = require('path');
const { spawn } = require('child_process');
const { open } = require('./pages/browser.js');

const [dir, ...names] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(dir, name), 'utf8').trim();

// The report of the test's own, so that it can end and come back at the same port, with passwords or without.
function server(port) {
  let child;
  let listen = '127.0.0.1:0';
  return {
    start: async (locked) => {
      fs.rmSync(port, { force: true });
      child = spawn(path.join(process.env.BIN, 'report'), ['--listen', listen, '--port-file', port, '--dir', dir, '--in', `log:${dir}/data/enriched`, '--aggregate-port-file', path.join(dir, 'data/aggregate.port'),
        '--collect', `http://${read('data/collect.port')}`, ...(locked ? ['--password-file', path.join(dir, 'passwords')] : [])], { stdio: ['ignore', 'inherit', fs.openSync(path.join(dir, 'report.log'), 'a')] });
      for (let i = 0; i < 400 && !fs.existsSync(port); i += 1) await new Promise((r) => { setTimeout(r, 25); });
      listen = fs.readFileSync(port, 'utf8').trim();
      return `http://${listen}`;
    },
    stop: () => new Promise((resolve) => { child.once('exit', resolve); child.kill('SIGTERM'); }),
  };
}

async function main() {
  const report = server(path.join(dir, 'report.port'));
  const t = await open({ url: await report.start(false) });
  const collect = `http://${read('data/collect.port')}`;
  const key = /write_key: *(\S+)/.exec(read('millrace.yaml'))[1];
  const world = { dir, truth: JSON.parse(read('truth.json')),
    restart: async (locked) => { await report.stop(); await report.start(locked); },
    send: async (batch) => {
      const answer = await fetch(`${collect}/v1/batch`, { method: 'POST', headers: { Authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` },
        body: JSON.stringify({ batch: batch.map((m) => ({ timestamp: new Date().toISOString(), messageId: `t-${Math.random()}`, ...m })) }) });
      if (!answer.ok) throw new Error(`collect answered ${answer.status}`);
    } };
  for (const name of names) {
    try {
      await require(`./pages/${name}.js`)(t, world);
    } catch (error) {
      t.ok(false, `${name}: ${error.message.split('\n').slice(0, 4).join(' / ')} ${error.stack.split('\n').filter((l) => /tests\/pages/.test(l)).slice(0, 2).join(' ')}`);
      for (const context of t.browser.contexts()) {
        for (const page of context.pages()) await t.shot(page, `failed-${name}`).catch(() => {});
        await context.close();
      }
    }
  }
  const all = Object.values(t.bytes).reduce((a, b) => a + b, 0);
  t.note(`transfer, all pages together: ${all} bytes in ${Object.keys(t.bytes).length} files`);
  if (names.includes('shape')) t.ok(all < 60000, `under 60 kB gzipped: ${all}`);
  t.is(t.foreign, [], 'no request left the host');
  t.is(t.errors, [], 'no error in any page');
  await report.stop();
  process.exit(await t.close());
}

main().catch((error) => { console.log(`Bail out! ${error.stack}`); process.exit(1); });
