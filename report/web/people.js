// people.js - who they are and what they did: a query as sentences, and a person's page
import { html, useAsk, number } from './api.js';
import { Filters, Pick, State, leaf, last } from './query.js';

const UNITS = [7, 30, 90, 365];

function Person({ id }) {
  const state = useAsk('person', { id, limit: 100 }, 5000);
  return html`<p><a href="#/people">All people</a></p><h1>${id}</h1><${State} state=${state}>${(a) => html`
    <div class="card scroll"><table><tbody>${Object.entries(a.traits || a.person?.traits || {}).map(([k, v]) => html`
      <tr><th>${k}</th><td>${typeof v === 'string' ? v : JSON.stringify(v)}</td></tr>`)}
      <tr><th>Ids</th><td>${(a.ids || []).map((i) => (typeof i === 'string' ? i : i.id)).join(', ')}</td></tr>
    </tbody></table></div>
    <div class="card scroll"><table><thead><tr><th>Event</th><th>Time</th><th>Properties</th></tr></thead><tbody>
      ${(a.events || []).map((e) => html`<tr><td>${e.event}</td><td>${e.time || e.timestamp}</td>
        <td><details><summary>show</summary><pre>${JSON.stringify(e.properties || e, null, 1)}</pre></details></td></tr>`)}
    </tbody></table></div>`}<//>`;
}

export default function People({ state, set }) {
  const { id, filters = [], did = [] } = state;
  const parts = [...filters.filter((f) => f.prop && (f.value || f.op.endsWith('_set'))).map((f) => leaf(f, 'profile')),
    ...did.filter((d) => d.event).map((d) => (d.not ? { did_not: d.event, within: { last: last('x').last } } :
      { did: d.event, count: { op: '>=', n: Number(d.n) || 1 }, within: { last: { n: Number(d.days) || 30, unit: 'day' } } }))];
  const answer = useAsk('people', id ? null : { ...(parts.length ? { query: { and: parts } } : {}), limit: 100 }, 10000);
  if (id) return html`<${Person} id=${id} />`;
  const change = (i, part) => set({ ...state, did: did.map((d, k) => (k === i ? { ...d, ...part } : d)) });
  return html`<h1>People</h1>
    <div class="card"><div class="row"><${Filters} value=${filters} of="profile"
        set=${(f) => set({ ...state, filters: f })} /></div>
      ${did.map((d, i) => html`<div class="row">did <${Pick} label=${`Did ${i + 1}`} kind="events" value=${d.event}
          set=${(event) => change(i, { event })} /> at least <input type="number" min="1" aria-label="Times"
          value=${d.n || 1} onChange=${(e) => change(i, { n: e.target.value })} /> times in the last
        <select aria-label="Days" value=${d.days || 30} onChange=${(e) => change(i, { days: e.target.value })}>
          ${UNITS.map((u) => html`<option value=${u}>${u} days</option>`)}</select>
        <button aria-label="Remove" onClick=${() => set({ ...state, did: did.filter((_, k) => k !== i) })}>×</button></div>`)}
      <button onClick=${() => set({ ...state, did: [...did, { event: '', n: 1, days: 30 }] })}>+ Did something</button></div>
    <${State} state=${answer}>${(a) => html`<p class="big">${number(a.total)} <span class="soft">people</span></p>
      <div class="card scroll"><table><thead><tr><th>Person</th><th>Name</th><th>Email</th><th>First seen</th>
        <th>Last seen</th></tr></thead><tbody>${a.people.map((p) => html`<tr>
        <td><a href=${`#/people?${encodeURIComponent(JSON.stringify({ id: p.id }))}`}>${p.id}</a></td>
        <td>${p.traits?.name || p.traits?.$name || ''}</td><td>${p.traits?.email || p.traits?.$email || ''}</td>
        <td>${p.first_seen}</td><td>${p.last_seen}</td></tr>`)}</tbody></table></div>`}<//>`;
}
