// compare.js - what sink would send against what the vendors' code does: node compare.js KIND CALLS OURS THEIRS
//
// OURS is the output of sink --dry-run, THEIRS of vendor.js. Prints a TAP line's words: how many items are equal, then the
// first that differ. Each difference that is meant is undone below, with its reason; docs/destinations.md lists the same.
// SPDX-License-Identifier: Apache-2.0
'use strict'
const fs = require('fs')
const { isDeepStrictEqual } = require('util')
const [kind, callsFile, oursFile, theirsFile] = process.argv.slice(2)
const lines = (file) => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean)
const calls = new Map(lines(callsFile).map((l) => JSON.parse(l)).map((c) => [c.messageId, c]))
const has = (object, ...names) => object && names.some((n) => object[n] !== undefined)

function ourItems() {
  const out = []
  let url
  for (const line of lines(oursFile)) {
    if (line.startsWith('POST ')) url = line.slice(5)
    if (line[0] !== '{' && line[0] !== '[') continue
    let body = JSON.parse(line)
    body = body.events && kind === 'amplitude' ? body.events : body.batch || body
    for (const item of Array.isArray(body) ? body : [body]) out.push({ url, item })
  }
  return out
}

// What we do not send at all, and theirs does.
const isLeftOut = (call) =>
  // GA4 takes no event whose name has no letter in front; ours makes it bad.
  (kind === 'ga4' && call.event && !/^[A-Za-z]/.test(call.event)) ||
  // Customer.io keeps traits of people that have an id or an address; nobody can be merged into nobody.
  (kind === 'customerio' && !call.userId && (call.type === 'alias' || (call.type === 'identify' && !call.traits.email)))

// Edits both sides. Returns false where theirs sends what we do not mean to, or the other way round.
const kinds = {
  mixpanel(ours, theirs, call) {
    const a = ours.properties, b = theirs.properties
    if (!b || theirs.event[0] === '$') return
    if (a.$source === 'millrace' && b.$source === 'segment') a.$source = b.$source
    if (b.mp_lib && b.mp_lib === 'Segment Actions: ' + a.mp_lib) b.mp_lib = a.mp_lib
    // A boolean stays one; there the field is declared a text.
    if (b.ad_tracking_enabled === String(a.ad_tracking_enabled)) b.ad_tracking_enabled = a.ad_tracking_enabled
    // Browsers are what enrich found, with its names and full versions.
    if (b.$browser && a.$browser) for (const n of ['$browser', '$browser_version']) delete a[n], delete b[n]
  },
  amplitude(ours, theirs, call) {
    // Devices are what enrich found, where context does not say.
    const c = call.context
    delete theirs.use_batch_endpoint // a setting of theirs that slips through
    // Theirs says segment, or nothing where context has no library.
    delete ours.library, delete theirs.library
    // Events belong to the group of their context; there groups are left to the user.
    if (call.type !== 'group') delete ours.groups
    // A list that the HTTP API does not know: it is among the event's properties, too.
    if (call.event !== 'Order Completed') delete theirs.products
    // Cents, not what binary fractions make of them.
    if (Math.abs(ours.revenue - theirs.revenue) < 1e-9) ours.revenue = theirs.revenue
    // Nothing is not sent.
    if (isDeepStrictEqual(theirs.user_properties, {})) delete theirs.user_properties
    // Theirs has endpoints of their own for identify and group; the HTTP API takes them as events.
    if (ours.event_type[0] === '$') {
      if (ours.event_type === '$groupidentify') {
        if (theirs.group_type) theirs.groups = { [theirs.group_type]: theirs.group_value }
        delete theirs.group_type, delete theirs.group_value
        for (const n of ['user_id', 'device_id', 'insert_id', 'time']) delete ours[n]
      }
      delete ours.event_type
      if (call.type === 'identify') delete ours.time
    }
    if (c.userAgent || c.userAgentData) {
      if (!has(c.os, 'name')) delete ours.os_name, delete theirs.os_name
      if (!has(c.os, 'version')) delete ours.os_version, delete theirs.os_version
      if (!has(c.device, 'manufacturer')) delete ours.device_manufacturer, delete theirs.device_manufacturer
      if (!has(c.device, 'model')) delete ours.device_model, delete theirs.device_model
      delete theirs.device_type
    }
  },
  ga4(ours, theirs, call) {
    // A client is a device: the anonymous id where there is one. Theirs takes the user's id first.
    if (call.anonymousId && ours.client_id === call.anonymousId) theirs.client_id = call.anonymousId
    // Names as GA4 takes them: theirs replaces blanks only. What has no letter in front is left out.
    const clean = (name) => Array.from(name, (c) => (/[A-Za-z0-9]/.test(c) ? c : '_')).join('').slice(0, 40)
    const event = theirs.events[0]
    event.name = clean(event.name)
    event.params = Object.fromEntries(Object.entries(event.params).map(([n, v]) => [clean(n), v]).filter(([n]) => /^[A-Za-z]/.test(n)))
    // All other properties go along with GA4's own; theirs sends those only that its mapping names.
    if (/^(purchase|add_to_cart|view_item|view_item_list|begin_checkout|search|sign_up)$/.test(event.name))
      for (const n in ours.events[0].params) if (!(n in event.params)) delete ours.events[0].params[n]
    // A property that is called value is the value; theirs takes total only.
    if (event.name === 'purchase' && has(call.properties, 'value')) delete event.params.value, delete ours.events[0].params.value
    // Where the product stood in a list goes along.
    if (/^(add_to_cart|view_item)$/.test(event.name)) for (const item of ours.events[0].params.items || []) delete item.index
    // Theirs needs products, ours does not; without any there is no list.
    if (isDeepStrictEqual(event.params.items, []) && !ours.events[0].params.items) delete event.params.items
    // Empty texts are left out.
    for (const params of [event.params, ours.events[0].params])
      for (const n in params) if (params[n] === '') delete params[n]
  },
  customerio(ours, theirs, call) {
    if (call.type === 'group') {
      // All traits are the object's; theirs wants them in traits.objectAttributes.
      if (theirs.created_at) theirs.attributes = { ...theirs.attributes, created_at: theirs.created_at }
      delete theirs.created_at
      // Theirs writes the anonymous id of whoever made the call on the object.
      if (theirs.attributes) delete theirs.attributes.anonymous_id
      for (const n in ours.attributes) if (n !== 'created_at') delete ours.attributes[n]
    }
    for (const side of [ours, theirs]) if (isDeepStrictEqual(side.attributes, {})) delete side.attributes
  },
  posthog(ours, theirs, call) {
    if (theirs.properties.distinct_id) theirs.distinct_id = theirs.properties.distinct_id
    delete theirs.properties.distinct_id
    delete theirs.api_key
    // Theirs makes no profile of people by default, whatever the project says.
    delete theirs.properties.$process_person_profile
    // Nothing is not sent.
    if (isDeepStrictEqual(theirs.properties.$set, {})) delete theirs.properties.$set
    // Theirs writes it for pages only.
    if (call.type !== 'page') delete ours.properties.$current_url, delete theirs.properties.$current_url
    // Theirs takes receivedAt, which a server adds; an identify has its own time.
    delete theirs.timestamp, delete ours.timestamp
    // Repeats are dropped by it; theirs has none.
    delete ours.uuid
    // More of context goes along, as PostHog's own libraries send it; what theirs sends is the same.
    for (const n in ours.properties)
      if (n[0] === '$' || n.startsWith('utm_')) if (!(n in theirs.properties)) delete ours.properties[n]
  },
  slack(ours, theirs) {
    // Who posts, and with which picture, is the webhook's to say.
    delete theirs.username, delete theirs.icon_url, delete theirs.channel
    // What is filled in cannot make links or mention a channel.
    theirs.text = theirs.text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
  }
}

// {} and [] stay; undefined never was. Numbers over 2^53 are not among the calls.
const ours = ourItems()
const theirs = lines(theirsFile).map((l) => JSON.parse(l)).filter((l) => !isLeftOut(calls.get(l.id)))
let equal = 0, refused = 0
const wrong = []
for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
  const call = theirs[i] && calls.get(theirs[i].id)
  if (theirs[i] && theirs[i].error) {
    refused++ // by theirs; ours leaves out what is not allowed, and sends the rest
    continue
  }
  const a = ours[i] && structuredClone(ours[i].item), b = theirs[i] && structuredClone(theirs[i].item)
  if (a && b) kinds[kind](a, b, call)
  if (isDeepStrictEqual(a, b)) equal++
  else wrong.push({ a, b, call })
}
console.log(`${kind}: ${equal} of ${theirs.length - refused} equal, ${refused} refused by theirs, ours ${ours.length}`)
for (const { a, b, call } of wrong.slice(0, +process.env.SHOW || 3)) {
  console.log('# call  ', JSON.stringify(call))
  const names = new Set([...Object.keys(a || {}), ...Object.keys(b || {})])
  const show = (at, x, y) => {
    if (isDeepStrictEqual(x, y)) return
    if (x && y && typeof x === 'object' && typeof y === 'object' && !Array.isArray(x))
      for (const n of new Set([...Object.keys(x), ...Object.keys(y)])) show(`${at}.${n}`, x[n], y[n])
    else console.log(`# ${at}: ours ${JSON.stringify(x)} theirs ${JSON.stringify(y)}`)
  }
  show('', a, b)
}
process.exit(wrong.length ? 1 : 0)
