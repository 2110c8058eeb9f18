// node.js - every call of @segment/analytics-node: node node.js URL KEY
// SPDX-License-Identifier: Apache-2.0
const { Analytics } = require('@segment/analytics-node');

const [url, key] = process.argv.slice(2);
const a = new Analytics({ writeKey: key, host: url, flushAt: 3, flushInterval: 200 });
a.on('error', (e) => { console.error(e); process.exitCode = 1; });

a.identify({ userId: 'u-node', traits: { email: 'a@node', name: 'é😀', age: 42 } });
a.track({
  userId: 'u-node', event: 'Order Completed', timestamp: new Date('2026-11-01T10:00:00.250Z'),
  properties: { mark: 'node-track', revenue: 1.5, big: Number.MAX_SAFE_INTEGER, nested: { a: [1, null, true] } },
  context: { ip: '8.8.8.8' }, integrations: { All: false, Mixpanel: true },
});
a.track({ anonymousId: 'anon-node', event: 'Visited', properties: { mark: 'node-anonymous' } });
a.page({
  userId: 'u-node', name: 'Home', category: 'Main',
  properties: { mark: 'node-page', url: 'http://shop.example/a?utm_source=news&utm_medium=email' },
});
a.screen({ userId: 'u-node', name: 'Cart', properties: { mark: 'node-screen' } });
a.group({ userId: 'u-node', groupId: 'g-node', traits: { plan: 'pro' } });
a.alias({ userId: 'u2-node', previousId: 'u-node' });
a.closeAndFlush({ timeout: 20000 });
