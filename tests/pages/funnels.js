// funnels.js - steps with filters, window, order, counting; who made it and who dropped; times, breakdown, trend
// SPDX-License-Identifier: Apache-2.0
module.exports = async (t) => {
  const page = await t.page();
  const last = { last: { n: 30, unit: 'day' }, zone: t.zone };
  const names = ['Product Viewed', 'Product Added', 'Checkout Started', 'Order Completed'];
  const steps = names.map((event) => ({ event }));
  const shown = () => page.locator('.bars > div').evaluateAll((all) => all.map((d) => Number(d.querySelector('button').innerText.replace(/\D/g, ''))));
  await t.goto(page, '/funnels');
  await page.getByText('Where do people get lost?').waitFor();
  await t.pick(page, 'Choose the first step', names[0]);
  for (const name of names.slice(1)) await t.pick(page, 'Add the next step', name);
  await page.waitForFunction((n) => document.querySelectorAll('.bars > div').length === n, names.length);
  const all = await t.ask('funnel', { ...last, steps, window: { n: 7, unit: 'day' } });
  t.is(await shown(), all.steps.map((s) => s.count), `four steps: ${all.steps.map((s) => s.count)}`);
  t.is(await page.locator('main .big').innerText(), `${(100 * all.steps[3].share).toFixed(1)} %`, 'the conversion as a whole');
  t.ok(await page.locator('.bars > div').nth(all.worst - 1).getByText('largest loss').count() === 1, `the largest loss is at step ${all.worst}`);

  const dialog = page.getByRole('dialog');
  const who = async (name) => {
    await page.getByRole('button', { name }).click();
    await dialog.locator('.big').waitFor();
    const n = t.number(await dialog.locator('.big').innerText());
    const id = await dialog.locator('tbody a').first().innerText();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    return [n, id];
  };
  const [made] = await who('Who came to step 2');
  const [dropped, id] = await who('Who dropped before step 2');
  t.is([made, dropped], [all.steps[1].count, all.steps[0].count - all.steps[1].count], 'who came to step 2, and who dropped before it');
  const feed = await t.ask('person', { id, limit: 1000 });
  t.ok(feed.events.some((e) => e.event === names[0]), 'one who dropped did do step 1');
  await page.locator('.bars .box i').nth(3).click();
  await dialog.locator('.big').waitFor();
  t.is(t.number(await dialog.locator('.big').innerText()), all.steps[3].count, 'a click on the bar shows them, too');
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: '+ Filter of step 1' }).click();
  await t.pick(page, 'Property 1', 'price');
  await page.getByLabel('Condition 1', { exact: true }).selectOption('>');
  await page.getByLabel('Value 1', { exact: true }).fill('30');
  await page.getByLabel('Value 1', { exact: true }).press('Tab');
  await page.getByLabel('Window', { exact: true }).fill('1');
  await page.getByLabel('Window', { exact: true }).press('Tab');
  await page.getByLabel("Window's unit").selectOption('hour');
  await page.getByLabel('Counting').selectOption('totals');
  const harder = { ...last, steps: [{ event: names[0], where: { and: [{ prop: 'price', op: '>', values: [30] }] } }, ...steps.slice(1)], window: { n: 1, unit: 'hour' } };
  for (const [way, words] of [[{ count: 'totals' }, 'tries'], [{ order: 'any' }, 'in any order']]) {
    if (way.order) await page.getByLabel('Order', { exact: true }).selectOption(way.order);
    const answer = await t.ask('funnel', { ...harder, ...way });
    await page.waitForFunction((wanted) => [...document.querySelectorAll('.bars > div')].map((d) => d.querySelector('button').innerText.replace(/\D/g, '')).join() === wanted,
      answer.steps.map((s) => s.count).join()).catch(() => {});
    t.is(await shown(), answer.steps.map((s) => s.count), `with a filter, within an hour, ${words}`);
  }

  await t.goto(page, '/funnels', { steps: [{ event: 'No Such Thing' }, ...steps] });
  await page.getByRole('heading', { name: 'There is no event “No Such Thing”' }).waitFor();
  t.ok(true, 'a step that never came is said to be so');

  await t.goto(page, '/funnels', { steps });
  await t.pick(page, 'Break down by', 'Browser');
  await page.getByLabel('Trend').selectOption('day');
  await page.getByRole('heading', { name: 'By Browser' }).waitFor();
  const by = await t.ask('funnel', { ...last, steps, window: { n: 7, unit: 'day' }, breakdown: { prop: '$browser' }, trend: 'day' });
  const table = (await t.rows(page, 'main .card:has(h2:has-text("By Browser")) table')).map((r) => [r[0], ...r.slice(2, 6).map(t.number)]);
  t.is(table, by.segments.map((g) => [g.segment === '$other' ? 'All others' : g.segment, ...g.steps.map((s) => s.count)]), 'by browser');
  await page.locator('summary', { hasText: 'Numbers' }).click();
  const trend = (await t.rows(page, 'details table')).map((r) => [t.number(r[1]), t.number(r[2])]);
  t.is(trend, by.trend.map((b) => [b.entered, b.converted]), 'the trend by day');
  const bins = await page.locator('.card:has(h2:has-text("Time to convert")) .hbars b').allInnerTexts();
  t.is(bins.map(t.number), by.times.bins.map((b) => b[1]), `the time to convert, in ${bins.length} bins`);
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
  t.ok((await t.text(download)).includes('Product Added'), 'a CSV');
  await page.getByRole('button', { name: 'Move step 2 up' }).click();
  await page.waitForFunction(() => document.querySelector('.bars .label')?.innerText === '1. Product Added');
  t.ok(true, 'steps change places');
  await page.context().close();
};
