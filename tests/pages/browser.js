// browser.js - headless Chromium for the tests of the dashboard: TAP, addresses, numbers on screen, axe-core, pictures
// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
const path = require('path');

const sdk = path.join(process.cwd(), 'build/sdk/node_modules');
const { chromium } = require(path.join(sdk, 'playwright-core'));
const axe = fs.readFileSync(path.join(sdk, 'axe-core/axe.min.js'), 'utf8');

// An assistant for one server: t.ok, t.is, t.ask, t.goto, t.shot ..
async function open({ url, zone = 'Europe/Berlin' }) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });
  const shots = path.join(process.cwd(), process.env.SHOTS || 'build/shots');
  fs.mkdirSync(shots, { recursive: true });
  const t = { browser, url, zone, count: 0, failed: 0, errors: [], foreign: [], bytes: {}, number: (text) => Number(text.replace(/[^\d.-]/g, '')) };

  t.ok = (passed, words) => {
    t.count += 1;
    t.failed += passed ? 0 : 1;
    console.log(`${passed ? 'ok' : 'not ok'} ${t.count} - ${words}`);
    return passed;
  };
  t.is = (got, wanted, words) => t.ok(JSON.stringify(got) === JSON.stringify(wanted), words) ||
    console.log(`# got:    ${JSON.stringify(got)}\n# wanted: ${JSON.stringify(wanted)}`);
  t.note = (words) => console.log(`# ${words}`);
  t.ask = async (kind, question) => (await fetch(`${t.url}/api/v1/query/${kind}`, { method: 'POST', body: JSON.stringify(question) })).json();
  t.file = async (name) => (await fetch(`${t.url}/api/files/reports/${name}`)).json();

  // A page that is watched: errors, dialogs, requests to others, bytes as they travel.
  t.page = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: zone, acceptDownloads: true, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15000);
    page.on('pageerror', (error) => t.errors.push(error.message));
    page.on('console', (message) => message.type() === 'error' && !/status of (400|401|404|503)|ERR_CONNECTION|ERR_INCOMPLETE/.test(message.text()) && t.errors.push(message.text()));
    page.on('dialog', (dialog) => { t.errors.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('request', (request) => { if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(t.url)) t.foreign.push(request.url()); });
    page.on('response', (response) => {
      const name = response.url().slice(t.url.length).split(/[?#]/)[0];
      if (!name.startsWith('/api/') && response.status() === 200) t.bytes[name] = Number(response.headers()['content-length']);
    });
    return page;
  };
  t.address = (place, state) => `${t.url}/#${place}${state ? `?${encodeURIComponent(JSON.stringify(state))}` : ''}`;
  t.goto = async (page, place, state) => {
    await page.goto('about:blank');
    await page.goto(t.address(place, state));
  };
  t.state = (page) => JSON.parse(decodeURIComponent(page.url().split('#')[1]).split(/\?(.*)/s)[1] || '{}');
  // Chooses from a searchable menu, as a person does: type, then click on what is offered.
  t.pick = async (page, label, text) => {
    const field = page.getByRole('combobox', { name: label, exact: true });
    await field.click();
    await field.fill(text);
    await page.getByRole('option').filter({ hasText: text }).first().click();
  };
  t.rows = (page, selector = 'main table') => page.locator(selector).first().locator('tbody tr').evaluateAll((all) =>
    all.map((tr) => [...tr.cells].map((cell) => cell.innerText.trim())));
  // WCAG 2.2 A and AA, and axe's best practices, for the page as it is now.
  t.axe = async (page, words) => {
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    const list = found.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(' | ')}`);
    t.ok(!list.length, `axe-core finds nothing: ${words}`);
    list.forEach((line) => t.note(line));
  };
  t.shot = (page, name, options = {}) => page.screenshot({ path: path.join(shots, `${name}.png`), ...options });
  t.text = async (download) => fs.readFileSync(await download.path(), 'utf8');
  t.close = async () => {
    await browser.close();
    console.log(`1..${t.count}`);
    return t.failed ? 1 : 0;
  };
  return t;
}

module.exports = { open };
