// report_pages.js - the dashboard in headless Chromium, as a person would: report_pages.js URL EVENT
// Prints TAP lines; numbers on screen are compared with the API's.
// SPDX-License-Identifier: Apache-2.0
const path = require('path');
const { chromium } = require(path.join(process.cwd(), 'build/sdk/node_modules/playwright-core'));

const [url, event] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
let count = 0;
let failed = 0;

function ok(passed, words) {
  count += 1;
  failed += passed ? 0 : 1;
  console.log(`${passed ? 'ok' : 'not ok'} ${count} - ${words}`);
}

async function ask(kind, question) {
  const answer = await fetch(`${url}/api/v1/query/${kind}`, { method: 'POST', body: JSON.stringify(question) });
  return answer.json();
}

async function main() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  const errors = [];
  const foreign = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('dialog', (dialog) => { errors.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => { if (!request.url().startsWith(url) && !request.url().startsWith('data:')) foreign.push(request.url()); });
  const goto = (hash, state) => page.goto(`${url}/#${hash}${state ? `?${encodeURIComponent(JSON.stringify(state))}` : ''}`);

  await goto('/segmentation');
  await page.getByRole('table').waitFor();
  const zone = await page.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
  const last = { last: { n: 30, unit: 'day' }, zone };
  const trend = await ask('trend', { ...last, unit: 'day', top: 12 });
  const rows = await page.locator('tbody tr').evaluateAll((all) => all.map((tr) => [tr.cells[0].innerText.trim(),
    Number(tr.cells[1].innerText.replace(/\D/g, ''))]));
  const wanted = trend.series.map((line) => [line.segment.length ? line.segment.join(' / ') : line.event, line.overall]);
  ok(JSON.stringify(rows) === JSON.stringify(wanted), `the top ${wanted.length} events at once, as the API has them`);
  ok(await page.locator('canvas').count() === 1, 'a chart');
  await page.getByLabel('Add an event').fill(event);
  await page.getByLabel('Add an event').press('Tab');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  ok((await page.locator('tbody tr').first().innerText()).includes(event), `one event: ${event}`);
  ok(decodeURIComponent(page.url()).includes(event), 'the question is in the address');
  await page.goBack();
  await page.waitForFunction((n) => document.querySelectorAll('tbody tr').length === n, wanted.length);
  ok(true, 'and back works');

  const steps = [{ event }, { event: wanted[1][0] }];
  await goto('/funnels', { steps });
  await page.getByText('came to the last step').waitFor();
  const funnel = await ask('funnel', { ...last, order: 'ordered', window: { n: 7, unit: 'day' }, steps });
  const shown = await page.locator('table').first().locator('tbody tr').evaluateAll((all) =>
    all.map((tr) => Number(tr.cells[1].innerText.replace(/\D/g, ''))));
  ok(JSON.stringify(shown) === JSON.stringify(funnel.steps.map((s) => s.count)), `a funnel: ${shown}`);
  await page.getByRole('button', { name: 'came here' }).nth(1).click();
  await page.getByText('users came to step 2').waitFor();
  ok((await page.getByText('users came to step 2').innerText()).startsWith(String(shown[1])), 'who they are');

  await goto('/people');
  await page.locator('.big').waitFor();
  const people = await ask('people', { limit: 1 });
  ok((await page.locator('.big').innerText()).replace(/\D/g, '') === String(people.total), `${people.total} people`);
  await page.locator('tbody a').first().click();
  await page.getByText('All people').waitFor();
  await page.locator('details').first().waitFor();
  ok(await page.locator('details').count() > 0, 'a person and what they did');

  await goto('/live');
  await page.locator('tbody tr').first().waitFor();
  ok(await page.locator('tbody tr').count() === 50, 'the live view begins with 50 rows');
  const hostile = page.getByRole('button', { name: '<img src=x onerror=alert(1)>' });
  await hostile.first().waitFor();
  await hostile.first().click();
  ok(await page.locator('pre').count() === 1, 'an event name with markup is text, and its row opens');
  ok(await page.locator('img').count() === 0, 'no image came of it');

  await page.setViewportSize({ width: 390, height: 800 });
  await goto('/segmentation');
  await page.getByRole('table').waitFor();
  ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'a phone needs no sideways scrolling');
  ok(foreign.length === 0, `no request left the host: ${foreign}`);
  ok(errors.length === 0, `no error in the page: ${errors}`);
  await browser.close();
  console.log(`1..${count}`);
  process.exit(failed ? 1 : 0);
}

main().catch((error) => { console.log(`not ok ${count + 1} - ${error.message.split('\n')[0]}`); process.exit(1); });
