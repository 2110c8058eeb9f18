// retention.js - cohorts as the API has them, their shades, the curve, who is behind a cell
// SPDX-License-Identifier: Apache-2.0
module.exports = async (t) => {
  const page = await t.page();
  const base = { last: { n: 3, unit: 'month' }, zone: t.zone };
  const cells = async () => (await t.rows(page, 'table.heat')).slice(1).map((r) => r.slice(1).filter(Boolean).map((text) => t.number(text.replace('*', ''))));
  await t.goto(page, '/retention');
  await page.locator('table.heat').waitFor();
  const week = await t.ask('retention', { ...base, start: { event: '*' }, return: { event: '*' }, unit: 'week', periods: 8 });
  const wanted = week.cohorts.filter((c) => c.size);
  t.is(await cells(), wanted.map((c) => [c.size, ...c.values.filter((v) => v !== null).map((v) => Math.round((100 * v) / c.size))]), `${wanted.length} cohorts by week at once`);
  t.is((await t.rows(page, 'table.heat'))[0].slice(2).filter(Boolean), week.average.filter((v) => v !== null).map((v) => `${(100 * v).toFixed(1)} %`), 'the mean over whole periods');
  t.ok(await page.locator('main .plot svg circle').count() >= 3, 'a curve');
  const shade = (n) => page.locator('table.heat tbody tr').nth(2).locator('td span').nth(n).evaluate((e) => getComputedStyle(e).backgroundColor);
  t.ok(await shade(0) !== await shade(1), 'shades');
  await page.getByRole('button', { name: 'People', exact: true }).click();
  await page.waitForFunction(() => location.hash.includes('counts'));
  t.is(await cells(), wanted.map((c) => [c.size, ...c.values.filter((v) => v !== null)]), 'as people');

  const row = page.locator('table.heat tbody tr').nth(2);
  await row.locator('td').nth(2).getByRole('button').click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('.big').waitFor();
  t.is(t.number(await dialog.locator('.big').innerText()), wanted[1].values[1], 'a cell: who came back in week 1');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await row.locator('td').nth(0).getByRole('button').click();
  await dialog.locator('.big').waitFor();
  t.is(t.number(await dialog.locator('.big').innerText()), wanted[1].size, 'and who began');
  await page.keyboard.press('Escape');

  await t.pick(page, 'First event', 'Signed Up');
  await t.pick(page, 'Return event', 'Order Completed');
  await page.getByLabel('Who begins').selectOption('first_ever');
  await page.getByLabel('Return counts').selectOption('on_or_after');
  await page.getByLabel('Clock').selectOption('rolling');
  await page.getByLabel('Period', { exact: true }).selectOption('day');
  await page.getByLabel('Periods').fill('5');
  await page.getByLabel('Periods').press('Tab');
  await page.waitForFunction(() => document.querySelectorAll('table.heat thead th').length === 7);
  const day = await t.ask('retention', { ...base, start: { event: 'Signed Up' }, return: { event: 'Order Completed' }, unit: 'day', periods: 5, kind: 'first_ever', mode: 'on_or_after', clock: 'rolling' });
  await page.waitForFunction((n) => document.querySelectorAll('table.heat tbody tr').length === n + 1, day.cohorts.filter((c) => c.size).length);
  t.is(await cells(), day.cohorts.filter((c) => c.size).map((c) => [c.size, ...c.values.filter((v) => v !== null)]), 'sign up to order, by day, first ever, on or after, rolling');
  for (const wrong of ['0', '999']) {
    await page.getByLabel('Periods').fill(wrong);
    await page.getByRole('alert').waitFor();
    t.is([await page.getByLabel('Periods').inputValue(), t.state(page).periods], [wrong, 5], `${wrong} periods: ${await page.getByRole('alert').innerText()}`);
    await page.getByLabel('Periods').fill('5');
    await page.getByRole('alert').waitFor({ state: 'detached' });
  }
  await page.context().close();
};
