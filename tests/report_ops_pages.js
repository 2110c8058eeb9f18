// report_ops_pages.js - Sources, Destinations, Health and Messages in headless Chromium, as a person would:
// report_ops_pages.js URL COLLECT STUB DIR URL_WITH_PASSWORDS
// Prints TAP lines; what is on screen is compared with the API, the files on disk and what a stub got.
// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
const path = require('path');
const { open } = require('./pages/browser.js');

const [url, collect, stub, dir, watched] = process.argv.slice(2);
const home = path.join(dir, 'home');

const get = async (what) => (await fetch(url + what)).json();
const read = (file) => { try { return fs.readFileSync(path.join(home, file), 'utf8'); } catch { return ''; } };
const requests = () => fs.readFileSync(path.join(dir, 'requests'), 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l));

async function until(what, condition, ms = 15000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited for: ${what}`);
    await new Promise((done) => { setTimeout(done, 100); });
  }
}

const track = (key, body) => fetch(`${collect}/v1/track`, { method: 'POST', body: JSON.stringify(body),
  headers: { Authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` } });

const identify = (key, body) => fetch(`${collect}/v1/identify`, { method: 'POST', body: JSON.stringify(body),
  headers: { Authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` } });

async function sources(t, page, goto) {
  await goto('/sources');
  await page.getByRole('button', { name: 'Add a source' }).first().click();
  await page.getByLabel('Name').fill('Bad Name');
  await page.getByRole('button', { name: 'Create its write key' }).click();
  await page.getByText("1 to 64 of a-z 0-9 _ -").waitFor();
  t.ok(!read('millrace.yaml').includes('Bad Name'), 'a wrong name of a source is told beside its field');
  await page.getByLabel('Name').fill('shop');
  await page.getByRole('button', { name: 'Create its write key' }).click();
  const card = page.getByRole('region', { name: 'shop' });
  await card.waitFor();
  await card.getByRole('button', { name: 'Show the write key of shop' }).click();
  const key = (await get('/api/sources')).sources[1].keys[0];
  t.ok((await card.locator('code').first().innerText()) === key && read('millrace.yaml').includes(key), 'a new source shows the key that the file has');
  await card.locator('summary').click();
  await card.getByRole('button', { name: 'Node.js' }).click();
  await card.getByLabel('Snippet: Node.js').waitFor();
  const snippet = await card.locator('pre').innerText();
  await card.getByRole('button', { name: 'Web page' }).click();
  await card.getByText('This snippet does not work yet').waitFor();
  const config = read('millrace.yaml');
  fs.writeFileSync(path.join(home, 'millrace.yaml'), config.replace('collect: {', 'collect: {analytics_js: b.js, '));
  t.ok((await get('/api/sources')).bundle === true, 'where the bundle for web pages is missing, that and the mend are above its snippet');
  fs.writeFileSync(path.join(home, 'millrace.yaml'), config);
  t.ok(snippet.includes(key) && snippet.includes(collect), 'its snippet has the key and the address');
  await card.getByText('Waiting for the first event of shop').waitFor();
  await until('collect knows the key', async () => (await track(key, { userId: 'ann', event: 'First Step' })).status === 200);
  await card.getByText('Events arrive.').waitFor();
  t.ok((await card.getByRole('list', { name: 'Latest events' }).innerText()).includes('First Step'), 'and says when the first event arrives');
  await card.getByRole('switch').click();
  await until('the file says off', () => /enabled: false/.test(read('millrace.yaml')));
  t.ok(await card.getByRole('switch').getAttribute('aria-checked') === 'false' || await until('the switch', async () =>
    await card.getByRole('switch').getAttribute('aria-checked') === 'false'), 'a source is switched off');
  return key;
}

async function destinations(t, page, goto) {
  await goto('/destinations');
  await page.getByText('Nowhere yet').waitFor();
  t.ok(true, 'no destinations: said, with a way on');
  await page.getByRole('button', { name: 'Add a destination' }).first().click();
  await t.axe(page, 'kinds of destinations');
  await page.getByRole('button', { name: /^webhook/ }).click();
  await page.getByLabel('Name *').fill('hook');
  await page.getByLabel('Url *').fill('ftp://nowhere');
  await page.getByRole('button', { name: 'Save and switch on' }).click();
  await page.getByText('a URL begins with https').waitFor();
  t.ok(!read('destinations/hook.yaml'), 'what the table of fields refuses is told beside its field, and not saved');
  await page.getByLabel('Url *').fill(`${stub}/h`);
  await page.getByLabel('Secret', { exact: true }).fill('topsecret');
  await page.getByText('Which events, how fast').click();
  await t.axe(page, 'a destination\'s form');
  await page.getByLabel('Start').fill('first');
  await page.getByLabel('Batch size').fill('1');
  await page.getByRole('button', { name: 'Save and switch on' }).click();
  const card = page.getByRole('region', { name: 'hook' });
  await card.waitFor();
  t.ok(/secret: "?file:/.test(read('destinations/hook.yaml')) && read('destinations/.secrets/hook.secret') === 'topsecret', 'the secret is in a file of its own');
  await until('the first events', async () => requests().some((r) => r.body?.includes('First Step')));
  t.ok(true, 'it delivers at once');
  await card.getByText('delivering').waitFor();
  await card.getByRole('button', { name: 'Test' }).click();
  t.ok(await card.locator('.note.good').getByText('hook: part 1 of 1: ok').waitFor().then(() => true), 'a test that went well looks so');
  t.ok(requests().some((r) => r.body?.includes('Millrace Test')), 'a test event arrives');
  await card.getByRole('button', { name: 'Edit' }).click();
  t.ok(await page.getByLabel('Secret', { exact: true }).inputValue() === '' && !(await page.content()).includes('topsecret'), 'the secret is never shown again');
  await page.getByLabel('Method').selectOption('PUT');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await until('the edit', () => read('destinations/hook.yaml').includes('method: PUT'));
  t.ok(/secret: "?file:/.test(read('destinations/hook.yaml')), 'an edit keeps it');
  await track('k1', { messageId: 'dead-1', userId: 'ann', event: 'POISON' });
  await track('k1', { messageId: 'fine-1', userId: '<b>ann</b>', event: '<img src=x onerror=alert(1)>' });
  await card.getByText('1 event').waitFor({ timeout: 40000 });
  const ledger = (await get('/api/audit?last=1d')).stages.find((s) => s.stage === 'sink:hook');
  await until('the count on screen', async () => (await card.locator('dd b').innerText()) === String((await get('/api/audit?last=1d')).stages.find((s) => s.stage === 'sink:hook').out), 20000);
  t.ok(ledger.bad === 1, 'counts on the card are the ledger\'s');
  await card.getByRole('button', { name: 'Dead letters' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('row', { name: /POISON/ }).waitFor();
  t.ok((await dialog.innerText()).includes('1 event was not taken; 1 not sent again yet.'), 'a dead letter, with its reason');
  fs.writeFileSync(path.join(dir, 'mode'), '200');
  await dialog.getByRole('button', { name: 'Send again (1)' }).click();
  await dialog.getByText('sent again', { exact: true }).waitFor({ timeout: 30000 });
  t.ok(requests().filter((r) => r.body?.includes('POISON')).length === 2, 'send again: it arrives');
  await t.axe(page, 'dead letters');
  await page.keyboard.press('Escape');
  await card.getByRole('switch').click();
  await card.getByText('off', { exact: true }).waitFor();
  t.ok(/^enabled: no/m.test(read('destinations/hook.yaml')), 'the switch is a line of the file');
  await card.getByRole('switch').click();
  await until('on again', () => /^enabled: yes/m.test(read('destinations/hook.yaml')));
  t.ok(true, 'and on again');
  await page.getByRole('button', { name: 'Add a destination' }).click();
  await page.getByRole('button', { name: /^file/ }).click();
  await page.getByLabel('Name *').fill('gone');
  await page.getByLabel('Path *').fill('out');
  await page.getByRole('button', { name: 'Save and switch on' }).click();
  await page.getByRole('button', { name: 'Remove gone' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await until('its end', () => !fs.existsSync(path.join(home, 'destinations/gone.yaml')));
  t.ok(true, 'a destination is removed, after a question');
}

async function health(t, page, goto) {
  await goto('/health');
  await page.getByText('Nothing vanished').waitFor();
  const rows = await page.getByRole('table').locator('tbody tr').evaluateAll((all) => all.map((tr) => [...tr.cells].slice(1, 6).map((c) => Number(c.innerText.replace(/\D/g, '')))));
  const stages = (await get('/api/audit?last=1h')).stages;
  t.ok(JSON.stringify(rows) === JSON.stringify(stages.map((s) => [s.in, s.out, s.bad, s.duplicate, s.filtered])), `the ledger of ${rows.length} stages is the API's`);
  await page.getByLabel('Message id').fill('dead-1');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByText('did not take it').first().waitFor();
  const way = await page.getByRole('list', { name: 'Its way' }).innerText();
  t.ok(/collect took it in/.test(way) && /aggregate counted/.test(way) && /hook sent again/.test(way), 'one message id through all stages');
  await page.getByLabel('Message id').fill('fine-1');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByText('hook done').waitFor();
  t.ok(await page.locator('img').count() === 0 && (await page.getByRole('list', { name: 'Its way' }).innerText()).includes('<img src=x'), 'markup in it is text');
  t.ok(decodeURIComponent(page.url()).includes('fine-1'), 'the search is in the address');
  await page.getByLabel('Message id').fill('nobody');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByText('No stage knows').waitFor();
  t.ok(await page.getByRole('link', { name: 'IP geolocation by DB-IP' }).getAttribute('href') === 'https://db-ip.com', 'where places are DB-IP\'s, a link says so');
}

async function messages(t, page, goto) {
  await fetch(`${url}/api/files/reports/buyers`, { method: 'PUT', body: JSON.stringify({ kind: 'people', query: { and: [{ did: 'Bought', count: { op: '>=', n: 2 }, within: { last: { n: 30, unit: 'day' } } }] } }) });
  await track('k1', { userId: 'early', event: 'Bought' });
  await goto('/messages');
  await page.getByText('No messages yet').waitFor();
  await page.getByRole('button', { name: 'New message' }).first().click();
  await page.getByLabel('Name *').fill('thanks');
  await page.getByLabel('Saved query *').selectOption('buyers');
  await page.getByLabel('To', { exact: true }).fill('{{ email }}');
  await page.getByLabel('Subject').fill('Thank you, {{ name | default: "friend" }}');
  await page.getByLabel('Text', { exact: true }).fill('You bought twice, {{ name');
  await page.getByText('How it is sent').click();
  await page.getByLabel('Sender').fill('shop@shop.example');
  await page.getByLabel('Outbox').fill('outbox');
  await t.axe(page, 'a message\'s form');
  await page.getByRole('button', { name: 'Save, switched off' }).click();
  await page.getByRole('alert').first().waitFor();
  t.ok(!read('triggers/thanks.yaml'), 'a text that is no template is told, and not saved');
  await page.getByLabel('Text', { exact: true }).fill('You bought twice, {{ name }}.');
  await page.getByRole('button', { name: 'Save, switched off' }).click();
  const card = page.getByRole('region', { name: 'thanks' });
  await card.waitFor();
  t.ok(/enabled: false/.test(read('triggers/thanks.yaml')), 'a message is saved, switched off');
  await card.getByRole('button', { name: 'Preview' }).click();
  await page.getByLabel('Preview').waitFor();
  t.ok(/Subject: Thank you, Ann Example/.test(await page.getByLabel('Preview').innerText()), 'its preview, for somebody made up');
  await t.axe(page, 'a preview');
  await page.keyboard.press('Escape');
  const mails = () => { const at = path.join(home, 'outbox'); return fs.existsSync(at) ? fs.readdirSync(at).filter((f) => f.endsWith('.eml')).map((f) => fs.readFileSync(path.join(at, f), 'utf8')) : []; };
  const come = async (id, name) => {
    await identify('k1', { userId: id, traits: { name, email: `${id}@mail.example` } });
    for (const n of [1, 2]) await track('k1', { messageId: `b${n}-${id}`, userId: id, event: 'Bought' });
  };
  // Everything but the sending.
  await card.getByRole('button', { name: 'Edit' }).click();
  await page.getByText('How often, quiet hours, limits').click();
  await page.getByLabel('Dry run').click();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await until('the edit', () => /dry_run: true/.test(read('triggers/thanks.yaml')));
  await card.getByRole('switch').click();
  await card.getByText('dry run').waitFor();
  await until('it runs', () => read('data/messages/thanks/status.json').includes('watching'));
  await come('dora', 'Dora');
  await card.getByText('1 dry').waitFor({ timeout: 20000 });
  t.is(mails().length, 0, 'a dry run sends nothing, and says for whom it would');
  await card.getByRole('button', { name: 'Edit' }).click();
  await page.getByText('How often, quiet hours, limits').click();
  await page.getByLabel('Dry run').click();
  const pid = () => { try { return JSON.parse(read('data/messages/thanks/status.json')).pid; } catch { return 0; } };
  const before = pid();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await until('another run of it', () => pid() !== before);
  await card.getByText('watching').waitFor({ timeout: 20000 });
  await come('cleo', 'Cleo');
  const [mail] = await until('the mail', () => mails().length && mails(), 20000);
  t.ok(/To:.*cleo@mail.example/.test(mail) && /Subject: Thank you, Cleo/.test(mail), 'who comes to match gets it, with their name');
  await card.getByText('1 sent').waitFor();
  await card.getByRole('button', { name: 'Log' }).click();
  const log = page.getByRole('dialog');
  await log.getByRole('row', { name: /cleo.*cleo@mail.example.*sent/ }).waitFor();
  await log.getByRole('row', { name: /dora.*dry/ }).waitFor();
  t.is(await log.getByRole('row').count(), 3, 'the log: one line for each, no more');
  await t.axe(page, 'the log of a message');
  await page.keyboard.press('Escape');
  await card.getByRole('button', { name: 'Preview' }).click();
  await page.getByLabel('Person').fill('dora');
  await page.keyboard.press('Enter');
  await page.getByText('Thank you, Dora').waitFor();
  t.ok(true, 'a preview for one who came');
  await page.getByLabel('Send a test to').fill('me@shop.example');
  await page.getByRole('button', { name: 'Send the test' }).click();
  await until('the test', () => mails().some((m) => /To:.*me@shop.example/.test(m)));
  await page.getByRole('dialog').getByRole('status').getByText('ok').waitFor();
  t.ok(mails().some((m) => /To:.*me@shop.example/.test(m) && /Thank you, Dora/.test(m)), 'a test goes to the address, as the preview has it');
  await page.keyboard.press('Escape');
  await card.getByRole('switch').click();
  await card.getByText('off', { exact: true }).waitFor();
  t.ok(/^enabled: no/m.test(read('triggers/thanks.yaml')), 'the switch is a line of the file');
}

async function shapes(t, page) {
  for (const name of ['sources', 'destinations', 'health', 'messages']) {
    await t.goto(page, `/${name}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForFunction(() => !document.querySelector('.wait'));
    if (name === 'sources') await page.locator('summary').first().click();
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await t.axe(page, `${name}, ${colorScheme}`);
      await t.shot(page, `${name}-${colorScheme}`, { fullPage: true });
    }
    await page.setViewportSize({ width: 390, height: 844 });
    t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} fits a phone`);
    await t.axe(page, `${name}, a phone`);
    await t.shot(page, `${name}-phone`, { fullPage: true });
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: 'light' });
  }
  await t.goto(page, '/live');
  await page.getByRole('link', { name: 'IP geolocation by DB-IP' }).waitFor();
  t.ok(true, 'the live view, too, says whose places they are');
}

// Who only looks sees how things are, and nothing to change them with.
async function viewer(t) {
  const page = await t.page();
  const look = (name) => page.goto(`${watched}/#/${name}`);
  await look('destinations');
  await page.getByLabel('Name').fill('bob');
  await page.getByLabel('Password').fill('battery staple');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('region', { name: 'hook' }).getByText('delivering').waitFor();
  t.is([await page.getByRole('switch').count(), await page.getByRole('button', { name: /Add|Edit|Test|Remove/ }).count()], [0, 0], 'a viewer sees destinations, and no switch');
  await look('sources');
  await page.getByText('so only editors see them').waitFor();
  t.ok(!(await page.content()).includes('k1'), 'and no write keys');
  await look('messages');
  await page.getByRole('region', { name: 'thanks' }).waitFor();
  t.is(await page.getByRole('button', { name: 'New message' }).count(), 0, 'nor makes messages');
}

async function main() {
  const t = await open({ url });
  const page = await t.page();
  const goto = (place) => t.goto(page, place);
  await sources(t, page, goto);
  await destinations(t, page, goto);
  await health(t, page, goto);
  await messages(t, page, goto);
  await viewer(t);
  await shapes(t, page);
  t.is(t.foreign.filter((u) => !u.startsWith(watched)), [], 'no request left the host');
  t.is(t.errors, [], 'no error in the pages');
  process.exit(await t.close());
}

main().catch((error) => { console.log(`not ok - ${error.message.split('\n')[0]}\n# ${error.stack.split('\n').slice(1, 4).join('\n# ')}`); process.exit(1); });
