// rudder.js - every call of @rudderstack/rudder-sdk-node: node rudder.js URL KEY
// SPDX-License-Identifier: Apache-2.0
const Rudder = require('@rudderstack/rudder-sdk-node');

const [url, key] = process.argv.slice(2);
const a = new Rudder(key, {
  dataPlaneUrl: url, flushInterval: 200,
  errorHandler: (e) => { console.error(e.message); process.exitCode = 1; },
});

a.identify({ userId: 'u-rudder', traits: { email: 'a@rudder', name: 'é😀', age: 42 } });
a.track({
  userId: 'u-rudder', event: 'Order Completed', timestamp: new Date('2026-11-01T10:00:00.250Z'),
  properties: { mark: 'rudder-track', revenue: 1.5, nested: { a: [1, null, true] } },
});
a.track({ anonymousId: 'anon-rudder', event: 'Visited', properties: { mark: 'rudder-anonymous' } });
a.page({
  userId: 'u-rudder', name: 'Home', category: 'Main',
  properties: { mark: 'rudder-page', url: 'http://shop.example/a?utm_source=news&utm_medium=email' },
});
a.screen({ userId: 'u-rudder', name: 'Cart', properties: { mark: 'rudder-screen' } });
a.group({ userId: 'u-rudder', groupId: 'g-rudder', traits: { plan: 'pro' } });
a.alias({ userId: 'u2-rudder', previousId: 'u-rudder' });
// Its flush() resolves before the event that it sends first, alone, is through: wait for both.
setTimeout(() => a.flush().then(() => setTimeout(() => process.exit(), 500)), 1000);
