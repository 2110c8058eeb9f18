// browser.js - every call of @segment/analytics-next in headless Chromium, loaded as a package and
// by the snippet's path: node browser.js URL KEY SNIPPET_KEY MODULES
// SPDX-License-Identifier: Apache-2.0
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const { chromium } = require('playwright-core');

const [url, key, snippetKey, modules] = process.argv.slice(2);
const host = url.replace(/^http:\/\//, '');
const umd = path.join(modules, '@segment/analytics-next/dist/umd/index.js');

// The calls, run in the page; `name` marks which of the two ways of loading it was.
function calls(a, name) {
  a.identify('u-' + name, { email: 'a@' + name, name: 'é😀', age: 42 });
  a.track('Order Completed', { mark: name + '-track', revenue: 1.5, nested: { a: [1, null, true] } },
    { timestamp: new Date('2026-11-01T10:00:00.250Z'), integrations: { All: false, Mixpanel: true } });
  a.track('Visited', { mark: name + '-anonymous' });
  a.page('Main', 'Home', { mark: name + '-page' });
  a.screen('Main', 'Cart', { mark: name + '-screen' });
  a.group('g-' + name, { plan: 'pro' });
  a.alias('u2-' + name, 'u-' + name);
}

const pages = {
  '/package': `<title>Shop</title><script src="/umd.js"></script><script>
    const a = AnalyticsNext.AnalyticsBrowser.load({ writeKey: '${key}', cdnURL: '${url}' },
      { integrations: { 'Segment.io': { apiHost: '${host}/v1', protocol: 'http',
        deliveryStrategy: { strategy: 'batching', config: { size: 4, timeout: 300 } } } } });
    (${calls})(a, 'browser');</script>`,
  // What the snippet does: a queue of calls under window.analytics, and the bundle by its path.
  '/snippet': `<title>Shop</title><script>
    const a = window.analytics = []; a.methods = ['track', 'identify', 'page', 'screen', 'group', 'alias'];
    a.factory = (m) => (...args) => { a.push([m, ...args]); return a; };
    a.methods.forEach((m) => { a[m] = a.factory(m); });
    a._writeKey = '${snippetKey}'; a._cdn = '${url}'; a._loadOptions = {}; a.SNIPPET_VERSION = '5.2.1';
    const s = document.createElement('script'); s.async = true;
    s.src = '${url}/analytics.js/v1/${snippetKey}/analytics.min.js'; document.head.append(s);
    (${calls})(a, 'snippet');</script>`,
};

const server = http.createServer((req, res) => {
  const where = new URL(req.url, 'http://x').pathname;
  if (where === '/umd.js') return res.end(fs.readFileSync(umd));
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.statusCode = pages[where] ? 200 : 404;
  return res.end(pages[where] || '');
});

server.listen(0, '127.0.0.1', async () => {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-chromium-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium', headless: true,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  let foreign = 0;
  for (const where of ['/package', '/snippet']) {
    const page = await browser.newPage();
    let sent = 0;
    page.on('request', (r) => {
      if (!r.url().startsWith(url) && !r.url().includes(`:${server.address().port}/`)) {
        console.error('a request left for', r.url());
        foreign++;
      }
    });
    page.on('requestfinished', async (r) => {
      if (r.method() !== 'POST' || !/\/v1\/[a-z]$/.test(r.url())) return;
      const response = await r.response();
      if (response.status() !== 200) return console.error(r.url(), response.status());
      const body = JSON.parse(r.postData());
      sent += body.batch ? body.batch.length : 1;
    });
    page.on('pageerror', (e) => console.error(e));
    await page.goto(`http://127.0.0.1:${server.address().port}${where}?utm_source=news&utm_medium=email`,
      { referer: 'https://www.search.example/q' });
    for (let i = 0; i < 300 && sent < 7; i++) await page.waitForTimeout(100);
    if (sent < 7) { console.error(where, 'sent only', sent); process.exitCode = 1; }
    await page.close();
  }
  if (foreign) process.exitCode = 1;
  await browser.close();
  fs.rmSync(profile, { recursive: true, force: true });
  server.close();
});
