// funnels.js - which share of users goes through events in order
import { html, useAsk, useState, number, percent, duration } from './api.js';
import { Range, Pick, Filters, State, Freshness, last, where } from './query.js';

const WINDOWS = { '1 hour': [1, 'hour'], '1 day': [1, 'day'], '7 days': [7, 'day'], '30 days': [30, 'day'] };

function People({ question, step, dropped }) {
  const state = useAsk('funnel', { ...question, people: { step, dropped, limit: 200 } });
  return html`<${State} state=${state}>${(a) => html`<div class="card"><p>${`${number(a.people.total)} users ${dropped ? 'dropped before' : 'came to'} step ${step}`}</p>
    <ul>${a.people.people.map((p) => html`<li><a href=${`#/people?${encodeURIComponent(JSON.stringify({ id: p.id }))}`}>${
      p.id}</a></li>`)}</ul></div>`}<//>`;
}

export default function Funnels({ state, set }) {
  const { steps = [], range = '30 days', window = '7 days', order = 'ordered', by = '' } = state;
  const [people, setPeople] = useState(null);
  const ready = steps.filter((s) => s.event);
  const question = ready.length ? { ...last(range), order, window: { n: WINDOWS[window][0], unit: WINDOWS[window][1] },
    steps: ready.map((s) => ({ event: s.event, ...where(s.filters) })),
    ...(by ? { breakdown: { prop: by } } : {}) } : null;
  const answer = useAsk('funnel', question, 15000);
  const change = (i, part) => set({ ...state, steps: steps.map((s, k) => (k === i ? { ...s, ...part } : s)) });
  return html`<h1>Funnels</h1>
    <div class="card"><div class="row"><${Range} value=${range} set=${(r) => set({ ...state, range: r })} />
      <label>within <select value=${window} onChange=${(e) => set({ ...state, window: e.target.value })}>
        ${Object.keys(WINDOWS).map((w) => html`<option>${w}</option>`)}</select></label>
      <select aria-label="Order" value=${order} onChange=${(e) => set({ ...state, order: e.target.value })}>
        <option value="ordered">in this order</option><option value="any">in any order</option>
        <option value="strict">with nothing between</option></select>
      <${Pick} label="Break down by" kind="properties" value=${by} set=${(p) => set({ ...state, by: p })} /></div>
      ${steps.map((s, i) => html`<div class="row"><span>${i + 1}.</span><${Pick} label=${`Step ${i + 1}`} kind="events"
          value=${s.event} set=${(event) => change(i, { event })} />
        <${Filters} value=${s.filters} event=${s.event} set=${(filters) => change(i, { filters })} />
        <button aria-label=${`Remove step ${i + 1}`} onClick=${() => set({ ...state,
          steps: steps.filter((_, k) => k !== i) })}>×</button></div>`)}
      <button onClick=${() => set({ ...state, steps: [...steps, { event: '', filters: [] }] })}>+ Step</button></div>
    ${!question && html`<p class="empty">Add the steps in the order in which people should do them.</p>`}
    ${question && html`<${State} state=${answer}>${(a) => html`
      <div class="card"><p class="big">${percent(a.steps.at(-1).share)}</p>
        <p class="soft">of ${number(a.steps[0].count)} users came to the last step; median time ${duration(a.times.median_ms)}</p>
        <div class="bars">${a.steps.map((s, i) => html`<div><span>${percent(s.share)}</span>
          <span class="bar" style=${{ height: `${80 * (s.share || 0)}%` }}></span>
          <span>${i + 1}. ${s.event}</span></div>`)}</div></div>
      <div class="card scroll"><table><thead><tr><th>Step</th><th class="number">Users</th><th class="number">Share</th>
        <th class="number">From the step before</th><th class="number">Time (median)</th><th>Who</th></tr></thead>
        <tbody>${a.steps.map((s, i) => html`<tr><td>${i + 1}. ${s.event}${a.worst === i + 1 ? ' (largest loss)' : ''}</td>
          <td class="number">${number(s.count)}</td><td class="number">${percent(s.share)}</td>
          <td class="number">${percent(s.from_previous)}</td><td class="number">${duration(s.median_ms)}</td>
          <td><button onClick=${() => setPeople({ step: i + 1, dropped: false })}>came here</button>
            ${i > 0 && html`<button onClick=${() => setPeople({ step: i + 1, dropped: true })}>dropped</button>`}</td>
          </tr>`)}</tbody></table></div>
      ${a.segments && html`<div class="card scroll"><table><thead><tr><th>${by}</th>${a.steps.map((s, i) => html`
        <th class="number">${i + 1}. ${s.event}</th>`)}<th class="number">Share</th></tr></thead><tbody>
        ${a.segments.map((g) => html`<tr><td>${g.segment}</td>${g.steps.map((s) => html`<td class="number">${
          number(s.count)}</td>`)}<td class="number">${percent(g.steps.at(-1).share)}</td></tr>`)}</tbody></table></div>`}
      ${people && html`<${People} question=${question} ...${people} />`}<${Freshness} answer=${a} />`}<//>`}`;
}
