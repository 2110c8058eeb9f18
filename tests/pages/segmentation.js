// segmentation.js - the top events at once, events by property, filters, comparison, zoom, who, CSV
// SPDX-License-Identifier: Apache-2.0
module.exports = async (t, { truth }) => {
  const page = await t.page();
  await t.goto(page, '/segmentation');
  await page.locator('main svg circle').first().waitFor();
  const first = await page.evaluate(() => Math.round(performance.now()));
  const last = { last: { n: 30, unit: 'day' }, zone: t.zone };
  const table = async () => (await t.rows(page)).map((r) => [r[0], t.number(r[1])]);
  const trend = await t.ask('trend', { ...last, unit: 'day' });
  t.is(await table(), trend.series.map((l) => [l.event, l.overall]), `the top ${trend.series.length} events at once, as the API has them`);
  t.is((await t.rows(page))[0].slice(2).map(t.number), trend.series[0].values, 'each day of the first, too');
  t.note(`time to the first chart: ${first} ms`);

  await page.getByRole('button', { name: '3M' }).click();
  await page.waitForFunction(() => document.querySelectorAll('main thead th').length > 60);
  const wanted = Object.entries(truth.events).filter(([k, v]) => v.total && !['Identify', 'Group', 'Alias'].includes(k)).map(([k, v]) => [k, v.total]);
  const sorted = (list) => [...list].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  t.is(sorted(await table()), sorted(wanted), 'in three months: exactly what the shop sent');
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll('main thead th').length < 40);
  t.ok(true, 'back works');

  await t.pick(page, 'Choose an event', 'Order Completed');
  await page.getByLabel('Measure A').selectOption('unique');
  await t.pick(page, 'Break down by', 'Browser');
  await page.waitForFunction(() => /Chrome/.test(document.querySelector('main tbody')?.innerText));
  const question = { ...last, unit: 'day', measures: [{ event: 'Order Completed', measure: 'unique' }], breakdown: [{ prop: '$browser' }] };
  const by = await t.ask('trend', question);
  t.is(await table(), by.series.map((l) => [l.segment[0] === '$other' ? 'All others' : l.segment[0], l.overall]), 'people by browser');
  t.is(t.state(page).measures, question.measures, 'the question is in the address');
  const address = page.url();
  await t.goto(page, '/people');
  await page.goto(address);
  await page.waitForFunction(() => /Chrome/.test(document.querySelector('main tbody')?.innerText));
  t.is((await table()).length, by.series.length, 'an address that was sent to somebody shows the same');

  // Who is behind a number of the table, and behind a point of the chart.
  const at = by.series[0].values.indexOf(Math.max(...by.series[0].values));
  await page.locator('main tbody tr').first().locator('td').nth(at + 1).getByRole('button').click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('.big').waitFor();
  t.is(t.number(await dialog.locator('.big').innerText()), by.series[0].values[at], 'a number: as many people as it says');
  t.is(await dialog.locator('tbody tr').count(), by.series[0].values[at], 'each of them with a link');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Only the first' }).click();
  await page.waitForFunction(() => document.querySelectorAll('main svg .area').length === 1);
  t.is(t.state(page).view.hidden.length, by.series.length - 1, 'check boxes hide lines, and the address says so');
  const point = await page.locator('main .plot circle').nth(at).boundingBox();
  await page.mouse.click(point.x + point.width / 2, point.y + point.height / 2);
  await dialog.locator('.big').waitFor();
  t.is(t.number(await dialog.locator('.big').innerText()), by.series[0].values[at], 'a point: the same people');
  await dialog.getByText('Open in People').click();
  await page.getByRole('heading', { name: 'People', level: 1 }).waitFor();
  await page.locator('p .big').waitFor();
  t.is(t.number(await page.locator('p .big').innerText()), by.series[0].values[at], 'and they open as a query of people');
  await page.goBack();
  await page.locator('main .plot circle').first().waitFor();

  // A drag zooms in; a tip says the exact numbers.
  const box = await page.locator('main .plot svg').boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 100);
  await page.locator('.tip').waitFor();
  t.ok(/\d/.test(await page.locator('.tip').innerText()), 'a tip with the exact numbers');
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 100, { steps: 3 });
  await page.mouse.move(box.x + box.width * 0.7, box.y + 100, { steps: 3 });
  await page.mouse.up();
  await page.waitForFunction(() => location.hash.includes('from'));
  const zoomed = t.state(page);
  await page.waitForFunction(() => document.querySelectorAll('main thead th').length < 15);
  const part = await t.ask('trend', { ...question, last: undefined, from: zoomed.from, to: zoomed.to });
  t.is((await t.rows(page))[0].slice(2).map(t.number), part.series[0].values, `a drag zooms in: ${zoomed.from} to ${zoomed.to}`);

  // Filters by menus of real values, comparison, other charts, CSV.
  await t.goto(page, '/segmentation', { measures: [{ event: 'Order Completed', measure: 'total' }] });
  await page.getByRole('button', { name: '+ Filter', exact: true }).click();
  await t.pick(page, 'Property 1', 'Country');
  await t.pick(page, 'Value 1', 'US');
  await page.getByLabel('Compare').selectOption('week');
  await page.getByRole('columnheader', { name: 'Change' }).waitFor();
  const filtered = await t.ask('trend', { ...last, unit: 'day', measures: [{ event: 'Order Completed', measure: 'total' }],
    where: { and: [{ prop: '$country', op: 'is', values: ['US'] }] }, compare: { shift: { n: 1, unit: 'week' } } });
  t.is((await t.rows(page))[0].slice(1, 3).map(t.number), [filtered.series[0].overall, filtered.series[0].compared_overall], 'only those of the US, beside the week before');
  await page.getByRole('button', { name: 'Bar', exact: true }).click();
  await page.locator('.hbars').waitFor();
  t.is(t.number(await page.locator('.hbars b').first().innerText()), filtered.series[0].overall, 'as bars');
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  await page.locator('.hbars').waitFor({ state: 'detached' });
  t.is(await page.locator('main .plot').count(), 0, 'as a table only');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
  const lines = (await t.text(download)).trim().split(/\r?\n/);
  t.is(lines.length, filtered.buckets.length + 1, `a CSV with a line a day: ${lines[0]}`);
  await page.getByLabel('Unit').selectOption('week');
  await page.waitForFunction(() => document.querySelectorAll('main thead th').length < 14);
  t.ok(true, 'by week');

  await t.goto(page, '/segmentation', { measures: [{ event: 'Order Completed', measure: 'total' }], breakdown: [{ prop: '$browser' }] });
  await page.locator('main tbody tr').first().hover();
  await page.getByRole('button', { name: 'Only Chrome', exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 1);
  t.is((await t.rows(page)).map((r) => t.number(r[1])), by.series.length ? [(await t.ask('trend', { ...question, measures: [{ event: 'Order Completed', measure: 'total' }] })).series.find((l) => l.segment[0] === 'Chrome').overall] : [],
    'a click on a name: only that');

  await t.goto(page, '/segmentation', { measures: [{ event: 'Order Completed', measure: 'total' }, { event: 'Product Viewed', measure: 'total' }], formula: 'A / B' });
  await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 3);
  const ratio = await t.ask('trend', { ...last, unit: 'day', measures: [{ event: 'Order Completed', measure: 'total' }, { event: 'Product Viewed', measure: 'total' }], formula: 'A / B' });
  t.is((await t.rows(page))[2][0], 'Formula A / B', `a formula: ${ratio.series[2].overall.toFixed(3)}`);
  await page.getByRole('button', { name: 'Remove B' }).click();
  await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length < 3);
  await page.getByRole('button', { name: 'Remove A' }).click();
  await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length > 5);
  t.ok(true, 'measures come and go');

  // By keyboard alone: the menu opens, moves, takes.
  await t.goto(page, '/segmentation');
  await page.locator('main svg circle').first().waitFor();
  await page.getByRole('combobox', { name: 'Choose an event' }).focus();
  await page.keyboard.type('signed');
  await page.getByRole('option', { name: /Signed Up/ }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 1);
  t.is(t.state(page).measures[0].event, 'Signed Up', 'an event by keyboard alone');
  await page.getByLabel('Measure A').selectOption('avg');
  await page.waitForFunction(() => location.hash.includes('avg'));
  await t.goto(page, '/segmentation', { from: '2020-01-01', to: '2020-01-02' });
  await page.getByText('Nothing happened in this time').waitFor();
  t.ok(true, 'an empty time says what to do');
  await t.goto(page, '/segmentation', { measures: [{ event: 'No Such Thing', measure: 'total' }], where: { and: [{ prop: 'no_such', op: 'is', values: ['x'] }] } });
  await page.getByRole('heading', { name: 'There is no event “No Such Thing”. There is no property “no_such”' }).waitFor();
  t.is(await page.getByText('longer time').count(), 0, 'names that never came are said to be so');
  await t.goto(page, '/segmentation', { measures: [{ event: 'Product Viewed', measure: 'total' }, { event: 'No Such Thing', measure: 'total' }] });
  await page.getByText('There is no event “No Such Thing”.').waitFor();
  await page.locator('main svg circle').first().waitFor();
  t.ok(true, 'beside those that did, too');

  // What is not filled in is marked, and nothing is saved of it; dates that cross are told.
  await t.goto(page, '/segmentation', { measures: [{ event: 'Product Viewed', measure: 'total' }] });
  await page.locator('main svg circle').first().waitFor();
  const tops = await page.locator('main .controls').first().evaluate((e) => e.clientHeight);
  t.ok(tops < 50, `the toolbar is one row of ${tops} px`);
  const isOff = () => page.getByRole('button', { name: 'Save', exact: true }).isDisabled();
  const undone = page.getByText('not complete yet, so not used');
  await page.getByRole('button', { name: '+ Filter of A' }).click();
  t.is(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Property 1', 'a new filter has the focus');
  t.is([await undone.count(), await isOff()], [1, true], 'an empty filter is marked, and not saved');
  await t.pick(page, 'Property 1', 'price');
  await page.getByLabel('Condition 1', { exact: true }).selectOption('=');
  t.is([await undone.count(), await isOff()], [1, true], 'one without a value, too');
  await page.getByLabel('Value 1', { exact: true }).pressSequentially('30');
  await undone.waitFor({ state: 'detached' });
  t.ok(!await isOff(), 'with the value it is whole');
  await page.getByLabel('Measure A').selectOption('sum');
  await undone.waitFor();
  t.ok(await isOff(), 'a sum of nothing is not');
  await t.goto(page, '/segmentation', { from: '2026-01-02', to: '2026-01-05' });
  await page.getByLabel('From').fill('2026-01-09');
  await page.getByRole('alert').waitFor();
  t.ok(t.state(page).from === '2026-01-02' && await page.getByLabel('From').inputValue() === '2026-01-09', `a start after the end: ${await page.getByRole('alert').first().innerText()}`);
  await t.goto(page, '/segmentation', { unit: 'hour', measures: [{ event: '*', measure: 'dau' }] });
  await page.getByRole('alert').waitFor();
  t.ok(/dau|day/.test(await page.getByRole('alert').innerText()), `an error says what: ${(await page.getByRole('alert').innerText()).split('\n')[0]}`);
  await page.context().close();
};
