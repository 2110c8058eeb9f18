// events.js - COUNT varied calls of a Segment SDK, one a line: node events.js COUNT SEED
// Each part of context is there or not by chance; texts have quotes, line breaks, other alphabets; names collide with
// what vendors reserve. Same arguments, same lines.
// SPDX-License-Identifier: Apache-2.0
'use strict'
const [count, seed] = process.argv.slice(2).map(Number)
let state = seed
const random = (below) => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % below
}
const pick = (...list) => list[random(list.length)]
const maybe = (value, odds = 2) => (random(odds) === 0 ? undefined : value)
const some = (object) => Object.fromEntries(Object.entries(object).filter(() => random(3) !== 0))
const agents = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.109 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0'
]
const texts = ['plain', 'with "quotes"', 'line\nbreak', 'Заказ', 'Grüße 😀', '', 'a\\b', '2026-11-01', 'x'.repeat(90)]
const value = () =>
  pick(random(1000), -random(100), random(1000) / 8, true, false, pick(...texts), pick(...texts), pick(...texts))
const deep = () => pick([1, 'a', { b: 2 }], { inner: { k: value() } }, [], {}, null)
const product = () =>
  some({ product_id: 'p' + random(50), sku: 's-' + random(9), name: pick(...texts), price: random(9000) / 100, quantity: 1 + random(4),
    brand: 'b', category: 'c', variant: 'v', coupon: 'k', position: random(5), url: 'https://s.example/p', image_url: 'https://s.example/i' })
const context = () =>
  some({
    ip: '203.0.113.' + random(255),
    locale: pick('de-DE', 'en-US'),
    timezone: pick('Europe/Berlin', 'America/New_York'),
    userAgent: pick(...agents),
    userAgentData: some({ mobile: pick(true, false), platform: 'Linux', bitness: '64', model: 'M', platformVersion: '14.1', uaFullVersion: '120.0.1', wow64: false }),
    library: some({ name: pick('analytics.js', 'analytics-node'), version: '3.1.' + random(9) }),
    app: some({ name: 'Shop', version: '1.' + random(9), build: '77', namespace: 'com.shop', platform: 'ios' }),
    device: some({ id: 'dev-' + random(99), name: 'Bob’s phone', type: pick('ios', 'android', 'mobile'), manufacturer: 'Apple', model: 'iPhone7,2',
      brand: 'apple', advertisingId: 'ad-' + random(99), adTrackingEnabled: pick(true, false), idfa: 'idfa-' + random(9) }),
    os: some({ name: pick('iOS', 'Android'), version: '14.' + random(9) }),
    network: some({ bluetooth: pick(true, false), carrier: 'T-Mobile', cellular: pick(true, false), wifi: pick(true, false) }),
    screen: some({ width: 320 + random(900), height: 568, density: 2 }),
    page: some({ url: 'https://shop.example/a?b=' + random(9), path: '/a', referrer: 'https://ref.example/', title: pick(...texts), search: '?b' }),
    campaign: some({ name: 'fall', source: pick('google', 'mail'), medium: 'cpc', term: 'shoes', content: 'top' }),
    location: some({ country: 'Germany', region: 'BE', city: 'Berlin', latitude: 52.5, longitude: 13.4 }),
    groupId: 'g' + random(9)
  })
const properties = () => {
  const out = some({ price: random(10000) / 100, quantity: 1 + random(3), revenue: random(100), productId: 'p9', revenueType: 'sale', currency: 'EUR',
    url: 'https://shop.example/p', coupon: 'c5', total: random(500), id: 'own', time: 5, distinct_id: 'evil', $user_id: 'evil', $os: 'mine', utm_source: 'own', ip: '1.2.3.4' })
  for (let i = random(4); i > 0; i--) out['p' + random(9)] = value()
  if (random(4) === 0) out.deep = deep()
  return out
}
const traits = () => {
  const out = some({ email: 'a' + random(99) + '@example.com', firstName: 'Ann', lastName: 'Lee', name: pick('Ann Lee', 'Bo'), username: 'ann', phone: '+49 30 1',
    plan: pick('pro', 'free'), age: random(90), created: '2020-01-01', createdAt: '2021-02-03T04:05:06.000Z', created_at: '2022-03-04T05:06:07Z', vip: true })
  if (random(5) === 0) out.address = { city: 'Berlin', since: '2020-05-06T00:00:00Z' }
  return out
}
const call = (i) => {
  const type = pick('track', 'track', 'track', 'track', 'identify', 'identify', 'page', 'screen', 'group', 'group', 'alias')
  const out = { type, messageId: 'm-' + seed + '-' + i, timestamp: new Date(Date.UTC(2026, 10, 1) + random(86400000)).toISOString(), context: context() }
  if (random(3) || type === 'alias') out.userId = pick('u' + random(300), 'user' + random(9) + '@example.com')
  if (random(3) || !out.userId) out.anonymousId = 'anon-' + random(300)
  if (type === 'track') {
    out.event = pick('Product Viewed', 'Order Completed', 'Signed "Up"', 'Заказ', 'line\nbreak', 'click', 'Order Completed', 'Product Added',
      'Product List Viewed', 'Products Searched', 'Checkout Started', 'Signed Up')
    out.properties = maybe(properties(), 9)
    if (/^Product (Viewed|Added)$/.test(out.event) && out.properties) Object.assign(out.properties, product())
    if (/^(Order|Product L|Products|Checkout)/.test(out.event) && out.properties)
      Object.assign(out.properties, some({ order_id: 'o' + random(99), list_id: 'l1', category: 'shoes', query: 'red', shipping: 5, tax: 1.5, affiliation: 'web', value: 7 }))
    if (/^(Order|Product L|Checkout)/.test(out.event) && out.properties && random(4)) out.properties.products = Array.from({ length: random(4) }, product)
  }
  if (type === 'page' || type === 'screen') {
    out.name = pick('Home', 'Cart "x"', 'Über uns')
    out.properties = properties()
  }
  if (type === 'identify') out.traits = maybe(traits(), 6) || {}
  if (type === 'group') {
    out.groupId = 'grp-' + random(20)
    out.traits = traits()
  }
  if (type === 'alias') out.previousId = 'anon-' + random(300)
  return out
}
for (let i = 0; i < count; i++) console.log(JSON.stringify(call(i)))
