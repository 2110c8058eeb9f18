// people.js - sentences, columns, sorting, CSV; a person's profile and feed; deleting one
// SPDX-License-Identifier: Apache-2.0
module.exports = async (t, { truth }) => {
  const page = await t.page();
  const total = async () => t.number(await page.locator('p .big').innerText());
  const settled = (n) => page.waitForFunction((wanted) => Number(document.querySelector('p .big')?.innerText.replace(/\D/g, '')) === wanted, n);
  await t.goto(page, '/people');
  await page.locator('p .big').waitFor();
  t.is(await total(), (await t.ask('people', { limit: 1 })).total, `everybody: ${await total()}`);
  const heads = await page.locator('main thead th').allInnerTexts();
  t.is([heads[0], heads.at(-1)], ['Person', 'Last seen ↓'], `columns: ${heads.join(', ')}`);
  const empty = await page.locator('main tbody').evaluate((body, n) => [...Array(n).keys()].filter((c) => [...body.rows].every((r) => !r.cells[c].innerText)), heads.length);
  t.is(empty, [], 'no column without any value');
  t.ok(await page.locator('.card.scroll').evaluate((e) => e.scrollWidth <= e.clientWidth), 'the table is not cut off');
  const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  await page.getByRole('button', { name: '+ Who they are' }).click();
  t.is(await focus(), 'Property 1', 'a new condition has the focus');
  await t.pick(page, 'Property 1', 'gender');
  await t.pick(page, 'Value 1', 'female');
  await page.getByRole('button', { name: '+ Who they are' }).click();
  await t.pick(page, 'Property 2', 'age');
  await page.waitForFunction(() => document.querySelectorAll('select[aria-label="Condition 2"] option').length > 8);
  await page.getByLabel('Condition 2', { exact: true }).selectOption('>');
  await page.getByLabel('Value 2', { exact: true }).fill('35');
  await page.getByLabel('Value 2', { exact: true }).press('Tab');
  await page.getByRole('button', { name: '+ What they did' }).click();
  t.is([await focus(), await page.getByText('not complete yet').count(), await page.getByRole('button', { name: 'Save', exact: true }).isDisabled()], ['Event 3', 1, true],
    'so has one of what they did; it is not complete');
  await t.pick(page, 'Event 3', 'Product Viewed');
  await page.getByLabel('How often 3').fill('3');
  await page.getByLabel('How often 3').press('Tab');
  const query = { and: [{ prop: 'gender', of: 'profile', op: 'is', values: ['female'] }, { prop: 'age', of: 'profile', op: '>', values: [35] },
    { did: 'Product Viewed', count: { op: '>=', n: 3 }, within: { last: { n: 30, unit: 'day' } } }] };
  const wanted = await t.ask('people', { query, limit: 1000, columns: ['age', 'gender'], zone: t.zone });
  await settled(wanted.total);
  t.ok(wanted.total > 0 && wanted.people.every((p) => p.traits.age > 35 && p.traits.gender === 'female'), `gender is female and age greater than 35 and did Product Viewed at least 3 times in the last 30 days: ${wanted.total}`);
  await page.getByRole('button', { name: /^Columns/ }).click();
  await page.getByRole('checkbox', { name: 'age' }).check();
  await page.getByRole('checkbox', { name: 'Country' }).uncheck();
  await page.getByRole('columnheader', { name: 'age' }).getByRole('button').click();
  await page.waitForFunction(() => location.hash.includes('-age'));
  await page.waitForFunction(() => document.querySelector('main thead').innerText.includes('age ↓'));
  const ages = wanted.people.map((p) => p.traits.age).sort((a, b) => b - a).slice(0, 5);
  const column = (await page.locator('main thead th').allInnerTexts()).findIndex((h) => h.startsWith('age'));
  await page.waitForFunction(([c, age]) => document.querySelector('main tbody tr')?.cells[c].innerText === String(age), [column, ages[0]]);
  t.is((await t.rows(page)).slice(0, 5).map((r) => Number(r[column])), ages, 'chosen columns, sorted by age');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
  const lines = (await t.text(download)).trim().split('\r\n');
  t.is([lines.length - 1, lines[0]], [wanted.total, 'id,name,email,plan,age,first_seen,last_seen'], 'a CSV of all of them, with these columns');

  await page.getByLabel('Did or not 3').selectOption('did_not');
  const not = await t.ask('people', { query: { and: [...query.and.slice(0, 2), { did_not: 'Product Viewed', within: { last: { n: 30, unit: 'day' } } }] }, limit: 1, zone: t.zone });
  await settled(not.total);
  t.is(await total(), not.total, 'did not');
  const buyers = await t.ask('people', { query: { and: [{ did: 'Order Completed', count: { op: '>=', n: 1 } }] }, limit: 1 });
  await t.goto(page, '/people', { query: { and: [{ did: 'Order Completed', count: { op: '>=', n: 1 } }] } });
  await settled(buyers.total);
  t.ok(Math.abs(buyers.total - truth.events['Order Completed'].people) <= truth.events['Order Completed'].people * 0.02, `buyers: ${buyers.total}; the shop had ${truth.events['Order Completed'].people} visitors who bought`);
  await page.getByLabel('Find by name, email or id').fill('ada');
  await page.getByLabel('Find by name, email or id').press('Enter');
  await page.waitForFunction((n) => Number(document.querySelector('p .big')?.innerText.replace(/\D/g, '')) < n, buyers.total);
  t.ok((await t.rows(page)).every((r) => /ada/i.test(r.join(' '))), 'a search by name');

  const one = wanted.people[0];
  await t.goto(page, '/people', { id: one.id });
  await page.locator('.feed li').first().waitFor();
  const person = await t.ask('person', { id: one.id, limit: 100 });
  t.is(await page.locator('.feed li').count(), Math.min(100, person.events.length), `a person: ${person.events.length} events, newest first`);
  t.ok((await page.locator('main').innerText()).includes(person.traits.email), 'and the profile');
  await page.locator('.feed button').first().click();
  t.ok(await page.locator('.feed .pairs').count() === 2, 'an event opens to all its properties');
  await t.goto(page, '/people', { id: 'nobody-at-all' });
  await page.getByText('Nobody is known by this id').waitFor();
  t.ok(true, 'somebody who is not known');
  await page.context().close();
};
