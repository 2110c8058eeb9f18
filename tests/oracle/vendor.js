// vendor.js - what Segment's own destinations (npm @segment/action-destinations) send for calls, one request's item a line
//
//   node vendor.js MODULES KIND < calls      lines: {"id": MESSAGE_ID, "url": .., "item": {..}} or {"id", "error"}
//
// The official code runs unmodified: its presets and default mappings choose, validate and build. Only the HTTP client's
// fetch is replaced, so that the requests are noted instead of sent.
// SPDX-License-Identifier: Apache-2.0
'use strict'
const path = require('path')
const [modules, kind] = process.argv.slice(2)
const load = (name) => require(path.resolve(modules, 'node_modules/@segment', name))
const core = load('actions-core')
const fetcher = load('actions-core/dist/cjs/fetch')
const { parseFql, validate } = load('destination-subscriptions')

const hidden = '***' // what --dry-run shows of secrets
const path_ = (p) => ({ '@path': p })
// GA4 has no presets: those of its actions that name an event.
const shop = Object.entries({ purchase: 'Order Completed', addToCart: 'Product Added', viewItem: 'Product Viewed', search: 'Products Searched',
  viewItemList: 'Product List Viewed', beginCheckout: 'Checkout Started', signUp: 'Signed Up' }).map(([partnerAction, event]) =>
  ({ event, subscribe: `type = "track" and event = "${event}"`, partnerAction, mapping: { user_id: path_('$.userId') } }))
const kinds = {
  mixpanel: { module: 'mixpanel', settings: { projectToken: hidden, apiSecret: hidden },
    more: [{ subscribe: 'type = "alias"', partnerAction: 'alias' }] },
  amplitude: { module: 'amplitude', settings: { apiKey: hidden, secretKey: 'x' },
    more: [{ subscribe: 'type = "group"', partnerAction: 'groupIdentifyUser', mapping: { group_type: 'company', group_value: path_('$.groupId'), insert_id: path_('$.messageId') } }],
    mapping: { insert_id: path_('$.messageId') } },
  ga4: { module: 'google-analytics-4', settings: { measurementId: 'G-1', apiSecret: hidden },
    more: [...shop, { subscribe: `type = "track" and ${shop.map((p) => `event != "${p.event}"`).join(' and ')}`, partnerAction: 'customEvent', mapping: { params: path_('$.properties'), user_id: path_('$.userId') } },
      { subscribe: 'type = "page"', partnerAction: 'pageView', mapping: { params: path_('$.properties'), user_id: path_('$.userId') } }] },
  customerio: { module: 'customerio', settings: { siteId: 's', apiKey: hidden, accountRegion: 'US 🇺🇸' }, more: [] },
  posthog: { module: 'posthog', settings: { api_key: hidden, endpoint: 'https://us.i.posthog.com', historical_migration: false }, more: [] },
  slack: { module: 'slack', settings: {}, more: [{ subscribe: 'type = "track"', partnerAction: 'postToChannel',
    mapping: { url: 'https://hooks.slack.com/services/T/B/X', text: { '@template': '*{{event}}* of {{userId}}: {{properties.total}} {{properties.currency}}' } } }] }
}
const { module: name, settings, more, mapping: extra } = kinds[kind]
const definition = load('action-destinations/dist/destinations/' + name).default
const destination = new core.Destination(definition)
const presets = [...(definition.presets || []), ...more].filter((p) => p.subscribe && definition.actions[p.partnerAction])
for (const preset of presets) {
  preset.ast = parseFql(preset.subscribe)
  preset.full = { ...core.defaultValues(definition.actions[preset.partnerAction].fields), ...extra, ...preset.mapping, ...(preset.mapping && extra) }
}

let requests
fetcher.default = async (request) => {
  requests.push({ url: request.url, text: await request.text() })
  return new fetcher.Response('{"code":200,"status":"OK"}', { status: 200, headers: { 'Content-Type': 'application/json' } })
}

// A request's items: a JSON body, or a form with JSON in it.
function items(text) {
  let body
  if (text[0] === '{' || text[0] === '[') body = JSON.parse(text)
  else {
    const form = new URLSearchParams(text)
    body = JSON.parse(form.get('data') || form.get('identification') || form.get('mapping'))
  }
  if (kind === 'amplitude' && body.events) body = body.events
  if (kind === 'posthog') body = body.batch || body
  return Array.isArray(body) ? body : [body]
}

async function main() {
  for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\n')) {
    const event = JSON.parse(line)
    for (const preset of presets) {
      if (!validate(preset.ast, event)) continue
      requests = []
      let error
      try {
        await destination.executeAction(preset.partnerAction, { event, mapping: preset.full, settings, features: {}, statsContext: {},
          logger: { info() {}, error() {} }, transactionContext: {}, stateContext: {}, subscriptionMetadata: {} })
      } catch (e) {
        error = String(e.message)
      }
      if (error) console.log(JSON.stringify({ id: event.messageId, error }))
      else for (const request of requests)
        for (const item of items(request.text)) console.log(JSON.stringify({ id: event.messageId, action: preset.partnerAction, url: request.url, item }))
    }
  }
}
main()
