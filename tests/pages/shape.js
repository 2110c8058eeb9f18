// shape.js - every page: axe-core in light and dark, a phone's width, pictures; hostile names as text
// SPDX-License-Identifier: Apache-2.0
const steps = ['Product Viewed', 'Product Added', 'Checkout Started', 'Order Completed'].map((event) => ({ event }));
const VIEWS = [
  ['home', '/', {}, '.grid .card svg, .grid .card .hbars'],
  ['segmentation', '/segmentation', {}, 'main svg circle'],
  ['segmentation-filters', '/segmentation', { measures: [{ event: 'Order Completed', measure: 'unique', where: { and: [{ prop: '$country', op: 'is', values: ['US', 'DE'] }] } }],
    breakdown: [{ prop: '$browser' }], compare: { shift: { n: 1, unit: 'week' } } }, 'main svg circle'],
  ['funnels', '/funnels', { steps, trend: 'day', breakdown: { prop: '$browser' } }, '.bars'],
  ['retention', '/retention', {}, 'table.heat'],
  ['people', '/people', { query: { and: [{ prop: 'gender', of: 'profile', op: 'is', values: ['female'] }, { prop: 'age', of: 'profile', op: '>', values: [35] },
    { did: 'Product Viewed', count: { op: '>=', n: 3 }, within: { last: { n: 30, unit: 'day' } } }] } }, 'main tbody a'],
  ['live', '/live', {}, 'main tbody tr'],
  ['funnels-empty', '/funnels', {}, '.empty'],
];

async function shapes(t, page, person) {
  for (const [name, place, state, selector] of [...VIEWS, ['person', '/people', { id: person }, '.feed li']]) {
    await t.goto(page, place, state);
    await page.locator(selector).first().waitFor();
    await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 300); }));
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme });
      await t.axe(page, `${name}, ${scheme}`);
      await t.shot(page, `${name}-${scheme}`);
      if (process.env.DOCS && ['segmentation-light', 'funnels-dark'].includes(`${name}-${scheme}`)) {
        await page.setViewportSize({ width: 1120, height: 800 });
        await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 300); }));
        await page.evaluate((y) => scrollTo(0, y), name === 'funnels' ? 420 : 0);
        await t.shot(page, `../../docs/${name}`);
        await page.setViewportSize({ width: 1280, height: 900 });
      }
    }
    await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: 'light' });
    await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 200); }));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    t.ok(wide <= 0, `${name}: a phone needs no sideways scrolling`);
    if (name !== 'live') await t.axe(page, `${name}, a phone`);
    await t.shot(page, `${name}-phone`, { fullPage: true });
    await page.setViewportSize({ width: 1280, height: 900 });
  }
}

// Names, properties, addresses and profiles with markup: text, wherever they show.
async function hostile(t, page, { send }) {
  const bad = '<img src=x onerror=alert(1)>';
  await send([{ type: 'identify', userId: bad, traits: { name: bad, email: '"><script>alert(2)</script>', [bad]: bad, plan: 'javascript:alert(3)' } },
    { type: 'track', userId: bad, event: bad, properties: { [bad]: bad, url: 'javascript:alert(4)' }, context: { page: { url: `https://x.example/${bad}?a="onload=alert(5)`, title: bad, referrer: `https://${bad}` },
      campaign: { source: bad } } }, { type: 'page', userId: bad, name: bad, properties: { title: bad } }]);
  const there = async (question, kind = 'names') => { for (;;) { const a = await t.ask(kind, question); if (JSON.stringify(a).includes('onerror')) return; await new Promise((r) => { setTimeout(r, 100); }); } };
  await there({ kind: 'events', prefix: '<img' });
  await there({ kind: 'properties', of: 'profile', prefix: '<img' });
  const places = [['/segmentation', { measures: [{ event: bad, measure: 'total' }], breakdown: [{ prop: bad }, { prop: '$utm_source' }] }], ['/segmentation', { where: { and: [{ prop: bad, op: 'is', values: [bad] }] } }],
    ['/funnels', { steps: [{ event: bad }], breakdown: { prop: bad }, trend: 'day' }], ['/retention', { start: { event: bad }, return: { event: bad } }],
    ['/people', { query: { and: [{ prop: bad, of: 'profile', op: 'is', values: [bad] }] }, columns: ['name', 'email', bad, '$utm_source'] }], ['/people', { id: bad }], ['/live', { events: [bad] }]];
  for (const [place, state] of places) {
    await t.goto(page, place, state);
    await page.locator('main').getByText(bad).first().waitFor();
    for (const button of await page.locator('.feed button, main tbody th button[aria-expanded]').all()) await button.click();
    await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 150); }));
    const found = await page.evaluate(() => document.querySelectorAll('img, main script, [onload], [onerror], a[href^=javascript]').length);
    t.is(found, 0, `${place}: markup in names is text`);
  }
  await t.goto(page, '/segmentation');
  await t.pick(page, 'Choose an event', bad);
  await page.locator('main tbody').getByText(bad).waitFor();
  t.is(await page.locator('img').count(), 0, 'and in menus');
}

module.exports = async (t, world) => {
  const page = await t.page();
  // The other pages have a test of their own (report_ops_pages.t): here they are loaded for the sum of all.
  for (const place of ['messages', 'destinations', 'sources', 'health']) {
    await t.goto(page, `/${place}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
  }
  const { people } = await t.ask('people', { query: { and: [{ did: 'Order Completed', count: { op: '>=', n: 1 } }, { prop: 'email', op: 'is_set' }] }, limit: 1, sort: '-$last_seen' });
  await shapes(t, page, people[0].id);
  await hostile(t, page, world);
  for (const state of [{ measures: 7 }, { last: 'x', where: { and: 3 } }, { view: 9, measures: [null] }]) {
    await t.goto(page, '/segmentation', state);
    await page.locator('[role=alert], main svg circle, .empty').first().waitFor();
  }
  await page.getByRole('link', { name: 'Begin anew' }).click();
  await page.locator('main svg circle').first().waitFor();
  t.ok(true, 'an address of nonsense says so, and leads on');
  // Who in is the tab order: the first stop leads to the content.
  await t.goto(page, '/segmentation');
  await page.locator('main svg circle').first().waitFor();
  await page.keyboard.press('Tab');
  t.is(await page.evaluate(() => document.activeElement.className), 'skip', 'the first stop of the Tab key leads to the content');
  await page.keyboard.press('Enter');
  t.is(await page.evaluate(() => document.activeElement.tagName), 'MAIN', 'and goes there');
  await page.context().close();
};
