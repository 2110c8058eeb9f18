// saved.js - saving, opening, renaming, replacing and deleting reports; the board on Home; their files
// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
const path = require('path');

module.exports = async (t, { dir }) => {
  const page = await t.page();
  const read = (name) => fs.readFileSync(path.join(dir, 'reports', `${name}.yaml`), 'utf8');
  const save = async (title, button = 'Save') => {
    await page.getByRole('button', { name: button, exact: true }).click();
    await page.getByRole('dialog').getByLabel('Title').fill(title);
    await page.getByRole('dialog').locator('footer .main').click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  };
  await t.goto(page, '/');
  await page.getByText('Reports that you save appear here').waitFor();
  await page.locator('.grid .spark').first().waitFor();
  t.is(await page.locator('.grid .card').count(), 5, 'Home has an overview before anything is saved');
  await t.axe(page, 'Home, without reports');

  await t.goto(page, '/segmentation', { measures: [{ event: 'Order Completed', measure: 'total' }], last: { n: 7, unit: 'day' } });
  await page.locator('main svg circle').first().waitFor();
  await save('Orders this week');
  await page.getByText('Orders this week').first().waitFor();
  t.is(read('orders-this-week'), ['title: Orders this week', 'kind: trend', 'question:', '  measures:', '  - event: Order Completed', '    measure: total', '  last:', '    "n": 7',
    '    unit: day', '  unit: day', ''].join('\n'), 'saved as a file that people read');
  t.is(t.state(page).report, 'orders-this-week', 'the address knows it');
  await page.getByLabel('Measure A').selectOption('unique');
  await page.getByText('Orders this week (changed)').waitFor();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('(changed)').waitFor({ state: 'detached' });
  t.ok(read('orders-this-week').includes('measure: unique'), 'a change is saved into the same file');
  await page.getByLabel('Measure A').selectOption('sessions');
  await page.getByText('(changed)').waitFor();
  await save('Sessions with an order', 'Save as…');
  await page.getByText('Sessions with an order', { exact: true }).first().waitFor();
  t.ok(read('sessions-with-an-order').includes('sessions') && read('orders-this-week').includes('unique'), 'and as another one');
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.getByRole('dialog').getByLabel('Title').fill('Shopping sessions <b>');
  await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click();
  await page.getByText('Shopping sessions <b>').first().waitFor();
  t.ok(/title: .*Shopping sessions <b>/.test(read('sessions-with-an-order')), 'renamed; the file keeps its name');

  const steps = ['Product Viewed', 'Product Added', 'Order Completed'].map((event) => ({ event }));
  await t.goto(page, '/funnels', { steps });
  await page.locator('.bars').waitFor();
  await save('Checkout');
  await t.goto(page, '/retention');
  await page.locator('table.heat').waitFor();
  await save('Who comes back');
  await t.goto(page, '/people', { query: { and: [{ did: 'Order Completed', count: { op: '>=', n: 1 } }] } });
  await page.locator('p .big').waitFor();
  await save('Buyers');
  t.ok(/kind: people\nquery:/.test(read('buyers')), 'people: their query is where aggregate and messages look for it');

  await t.goto(page, '/');
  const cards = page.locator('.grid .card h2');
  await page.waitForFunction(() => document.querySelectorAll('.grid .card .big').length >= 4);
  t.is(await cards.allInnerTexts(), ['Orders this week', 'Shopping sessions <b>', 'Checkout', 'Who comes back', 'Buyers'], 'Home has a card for each, in the order of saving');
  const card = (title) => page.locator('.grid .card').filter({ hasText: title });
  const funnel = await t.ask('funnel', { steps, window: { n: 7, unit: 'day' }, last: { n: 30, unit: 'day' }, zone: t.zone });
  t.is(await card('Checkout').locator('.big').innerText(), `${(100 * funnel.steps[2].share).toFixed(1)} %`, 'the funnel\'s card has its conversion');
  const buyers = await t.ask('people', { query: { and: [{ did: 'Order Completed', count: { op: '>=', n: 1 } }] }, limit: 1 });
  t.is(t.number(await card('Buyers').locator('.big').innerText()), buyers.total, 'the card of people how many they are');
  await page.getByRole('button', { name: 'Move Buyers forward' }).click();
  await page.waitForFunction(() => document.querySelectorAll('.grid h2')[3]?.innerText === 'Buyers');
  t.is(read('home').split('\n').slice(0, 7), ['kind: board', 'cards:', '- orders-this-week', '- sessions-with-an-order', '- checkout', '- buyers', '- who-comes-back'], 'the order is a file, too');
  await page.getByRole('button', { name: 'Take Shopping sessions <b> off Home' }).click();
  await page.getByText('Not on the board').waitFor();
  t.is(await cards.count(), 4, 'a card goes off the board (and is listed below it)');
  await t.axe(page, 'Home');
  fs.writeFileSync(path.join(dir, 'reports', 'hand.yaml'), 'title: By hand\nkind: trend\nquestion:\n  measures:\n  - event: Signed Up\n    measure: total\n');
  fs.writeFileSync(path.join(dir, 'reports', 'broken.yaml'), 'title: [');
  await page.reload();
  await page.getByRole('link', { name: 'By hand' }).click();
  await page.waitForFunction(() => /Signed Up/.test(document.querySelector('main tbody')?.innerText));
  t.ok(true, 'a file that was written by hand opens');
  await page.getByRole('combobox', { name: 'Open a saved report' }).click();
  await page.getByRole('option', { name: 'Orders this week' }).click();
  await page.waitForFunction(() => /Order Completed/.test(document.querySelector('main tbody')?.innerText));
  t.is(t.state(page).measures[0].measure, 'unique', 'a saved one opens from the menu');
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  t.ok(fs.existsSync(path.join(dir, 'reports/orders-this-week.yaml')), 'deleting asks first');
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.waitForFunction(() => !location.hash.includes('orders-this-week'));
  await page.getByText('Deleted.').waitFor();
  t.ok(!fs.existsSync(path.join(dir, 'reports/orders-this-week.yaml')) && !read('home').includes('orders-this-week'), 'deleted, on the board too');
  await page.context().close();
};
