// map_peers.js MODULES CALLS - events per CPU-second of Segment's own Mixpanel destination, nothing sent
//
// From a call's line to the bytes of requests of 200 events. `whole`: executeBatch, as the product runs it (mapping, JSON
// schema validation, the action). `lean`: only mapping, getEventProperties and JSON.stringify.
// SPDX-License-Identifier: Apache-2.0
'use strict'
const path = require('path'), fs = require('fs')
const [modules, file] = process.argv.slice(2)
const load = (name) => require(path.resolve(modules, 'node_modules/@segment', name))
const core = load('actions-core')
const fetcher = load('actions-core/dist/cjs/fetch')
const definition = load('action-destinations/dist/destinations/mixpanel').default
const { getEventProperties } = load('action-destinations/dist/destinations/mixpanel/trackEvent/functions')
const destination = new core.Destination(definition)
const mapping = core.defaultValues(definition.actions.trackEvent.fields)
const settings = { projectToken: 'x', apiSecret: 'y' }
const lines = fs.readFileSync(file, 'utf8').trim().split('\n')
let bytes = 0

fetcher.default = async (request) => {
  bytes += (await request.text()).length
  return new fetcher.Response('{"code":200,"status":"OK"}', { status: 200, headers: { 'Content-Type': 'application/json' } })
}
const more = { settings, mapping, features: {}, statsContext: {}, logger: { info() {}, error() {} }, transactionContext: {}, stateContext: {}, subscriptionMetadata: {} }
const peers = {
  whole: (events) => destination.executeBatch('trackEvent', { ...more, events }),
  lean: (events) => {
    const batch = events.map((event) => {
      const payload = core.transform(mapping, event)
      return { event: payload.event, properties: getEventProperties(payload, settings) }
    })
    bytes += JSON.stringify(batch).length
  }
}
async function main() {
  for (const [name, run] of Object.entries(peers)) {
    let best = Infinity
    for (let round = 0; round < 3; round++) {
      const start = process.cpuUsage()
      bytes = 0
      for (let i = 0; i < lines.length; i += 200) await run(lines.slice(i, i + 200).map((line) => JSON.parse(line)))
      const used = process.cpuUsage(start)
      best = Math.min(best, (used.user + used.system) / 1e6)
    }
    const rate = lines.length / best
    console.log(`${('theirs, mixpanel, ' + name).padEnd(28)} ${rate.toFixed(0).padStart(9)} events/CPU-s ${(bytes / best / 1e6).toFixed(1).padStart(8)} MB/CPU-s ${Math.round(bytes / lines.length)} B/event`)
  }
}
main()
