// live.js - the feed: from the SDK's call to the screen, filters on the server, rest, columns, a thousand rows a second
// SPDX-License-Identifier: Apache-2.0
module.exports = async (t, { send, restart }) => {
  const page = await t.page();
  await t.goto(page, '/live');
  await page.locator('main tbody tr').nth(49).waitFor();
  t.is(await page.locator('main tbody tr').count(), 50, 'the live view begins with the latest 50');
  await page.mouse.move(5, 5);
  const sent = Date.now();
  await send([{ type: 'track', userId: 'live-1', event: 'Bell Rung', properties: { tone: 'high', deep: { er: 1 } }, context: { page: { referrer: 'https://search.example/x' } } }]);
  const row = page.locator('main tbody tr').filter({ hasText: 'Bell Rung' });
  await row.waitFor();
  const took = Date.now() - sent;
  t.ok(took < 2000, `from the call to the screen: ${took} ms`);
  await row.getByRole('button', { name: /Bell Rung/ }).click();
  await page.getByText('resting').waitFor();
  const details = await page.locator('main tbody tr').filter({ hasText: 'Found out' }).innerText();
  t.ok(details.includes('tone') && details.includes('high') && details.includes('{"er":1}'), 'a row opens to all properties');
  await send([{ type: 'track', userId: 'live-1', event: 'Second Bell' }]);
  await page.getByText('resting, 1 more came').waitFor();
  t.is(await page.locator('main tbody tr').filter({ hasText: 'Second Bell' }).count(), 0, 'it rests while a row is open, and says how many came');
  await row.getByRole('button', { name: /Bell Rung/ }).click();
  await page.mouse.move(5, 5);
  await page.locator('main tbody tr').filter({ hasText: 'Second Bell' }).waitFor();
  t.ok(true, 'and goes on');
  await page.locator('main tbody tr').nth(3).hover();
  await page.getByText('resting').waitFor();
  await page.mouse.move(5, 5);
  await page.locator('.badge.good').waitFor();
  t.ok(true, 'it rests under the pointer');

  await t.pick(page, 'Event', 'Bell Rung');
  await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 1);
  await page.getByLabel('Search in events').fill('HIGH');
  await page.getByLabel('Search in events').press('Enter');
  await page.waitForFunction(() => location.hash.includes('HIGH') && document.querySelectorAll('main tbody tr').length === 1);
  await page.getByLabel('Search in events').fill('nowhere');
  await page.getByLabel('Search in events').press('Enter');
  await page.getByText('Nothing like that yet').waitFor();
  t.ok(true, 'filters: an event, a search; nothing found says so');
  // Typed as people type, while rows arrive: nothing is lost, and it filters without the Enter key.
  await t.goto(page, '/live');
  await page.locator('main tbody tr').first().waitFor();
  for (const delay of [150, 40]) {
    const box = page.getByLabel('Search in events');
    await box.fill('');
    await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length > 5);
    let typing = true;
    const rain = (async () => { while (typing) { await send([{ type: 'track', userId: 'rain-1', event: 'Rain' }]); await new Promise((r) => { setTimeout(r, 40); }); } })();
    await box.pressSequentially('second bell', { delay });
    t.is(await box.inputValue(), 'second bell', `a search that is typed at ${delay} ms a key while rows arrive`);
    await page.waitForFunction(() => { const rows = [...document.querySelectorAll('main tbody tr')]; return rows.length && rows.every((r) => /Second Bell/.test(r.innerText)); });
    typing = false;
    await rain;
    t.is([await box.inputValue(), t.state(page).q], ['second bell', 'second bell'], 'it filters as one types');
  }

  await t.goto(page, '/live');
  await page.locator('main tbody tr').first().waitFor();
  await t.pick(page, 'Filter by', 'Country');
  await t.pick(page, 'Value of Country', 'US');
  await page.waitForFunction(() => location.hash.includes('US'));
  const list = await (await fetch(`${t.url}/api/live?where=country:US`)).json();
  await page.waitForFunction(() => [...document.querySelectorAll('main tbody tr')].length > 5 && [...document.querySelectorAll('main tbody tr')].every((r) => /US/.test(r.cells[3].innerText)));
  t.ok(list.rows.every((r) => r.country === 'US'), 'a property, on the server');
  await page.getByRole('button', { name: 'Columns' }).click();
  await page.getByRole('checkbox', { name: 'OS' }).check();
  await page.getByRole('columnheader', { name: 'OS' }).waitFor();
  t.is(t.state(page).columns.at(-1), 'os', 'columns are chosen, and in the address');

  // The server ends and comes back: the feed goes on behind the last row, with nothing missing and nothing twice.
  await t.goto(page, '/live', { events: ['Tick'] });
  const tick = (n) => send([{ type: 'track', userId: 'live-2', event: 'Tick', properties: { n } }]);
  const ticks = (n) => page.waitForFunction((k) => document.querySelectorAll('main tbody tr').length === k, n);
  await tick(1);
  await ticks(1);
  await restart(false);
  await tick(2);
  await ticks(2);
  await tick(3);
  await ticks(3);
  t.ok(true, 'the feed goes on after a restart');

  // A thousand rows a second, for five seconds; meanwhile the page draws and answers.
  await t.goto(page, '/live');
  await page.locator('main tbody tr').first().waitFor();
  await page.evaluate(() => {
    window.gaps = [];
    let before = performance.now();
    const frame = (now) => { window.gaps.push(now - before); before = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  });
  const start = Date.now();
  let count = 0;
  let slowest = 0;
  const look = async () => {
    const from = Date.now();
    await page.getByRole('button', { name: 'Columns' }).click();
    slowest = Math.max(slowest, Date.now() - from);
  };
  for (let i = 0; i < 25; i += 1) {
    await send(Array.from({ length: 200 }, () => { count += 1; return { type: 'track', userId: `u${count % 97}`, event: `Load ${count % 7}`, properties: { n: count } }; }));
    if (i % 8 === 4) await look();
    const wait = start + (i + 1) * 200 - Date.now();
    if (wait > 0) await new Promise((resolve) => { setTimeout(resolve, wait); });
  }
  const rate = Math.round((1000 * count) / (Date.now() - start));
  await page.getByLabel('Search in events').fill(`"n":${count}}`);
  await page.getByLabel('Search in events').press('Enter');
  await page.waitForFunction((n) => document.querySelectorAll('main tbody tr').length === 1 && document.querySelector('main tbody').innerText.includes(`Load ${n % 7}`), count);
  const gaps = (await page.evaluate(() => window.gaps)).sort((a, b) => a - b);
  const p95 = Math.round(gaps[Math.floor(gaps.length * 0.95)]);
  t.ok(rate >= 800 && p95 < 250 && slowest < 1500, `${rate} rows/s for ${count} rows: 95 % of frames within ${p95} ms, a click at most ${slowest} ms`);
  await page.context().close();
};
