// segmentation.js - how often things happen: the top events at once, or chosen ones, by time
import { html, useEffect, useRef, useState, useAsk, number } from './api.js';
import { Range, Pick, Filters, State, Freshness, RANGES, last, where } from './query.js';
import uPlot from './uplot.js';

const COLOURS = ['#2f6fde', '#d1495b', '#2e8b57', '#b8860b', '#7b4fc9', '#168aad', '#c2571a', '#6b7280', '#ad3e8e',
  '#4d7c0f', '#0f766e', '#92400e', '#475569'];
const MEASURES = [['total', 'Total events'], ['unique', 'Unique users'], ['per_user', 'Events per user'],
  ['dau', 'Daily active users'], ['wau', 'Weekly active users'], ['sessions', 'Sessions']];
const nameOf = (line) => (line.segment?.length ? line.segment.join(' / ') : line.event || '');

function Chart({ buckets, lines }) {
  const place = useRef();
  useEffect(() => {
    const at = place.current;
    const style = getComputedStyle(document.documentElement);
    const axis = { stroke: style.getPropertyValue('--soft').trim(),
      grid: { stroke: style.getPropertyValue('--line').trim() } };
    const times = buckets.map((b) => Date.parse(b.length === 10 ? `${b}T00:00:00` : b) / 1000);
    const plot = new uPlot({ width: Math.max(280, at.clientWidth), height: 320, axes: [axis, { ...axis, size: 60 }],
      legend: { show: false }, scales: { y: { range: (u, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
      series: [{}, ...lines.map((l) => ({ label: l.name, stroke: l.colour, width: 2, points: { show: times.length < 40 } }))],
    }, [times, ...lines.map((l) => l.values)], at);
    const resize = () => plot.setSize({ width: Math.max(280, at.clientWidth), height: 320 });
    addEventListener('resize', resize);
    return () => { removeEventListener('resize', resize); plot.destroy(); };
  }, [JSON.stringify([buckets, lines])]);
  return html`<div ref=${place} role="img" aria-label="Chart; the table below has its numbers"></div>`;
}

export default function Segmentation({ state, set }) {
  const { range = '30 days', unit = RANGES[range][2], events = [], measure = 'total', by = '', filters = [] } = state;
  const [hidden, setHidden] = useState({});
  const question = { ...last(range), unit, ...where(filters), ...(by ? { breakdown: [{ prop: by }] } : {}), top: 12,
    ...(events.length ? { measures: events.map((event) => ({ event, measure })) } :
      measure === 'total' && !by ? {} : { measures: [{ event: '*', measure }] }) };
  const answer = useAsk('trend', question, 10000);
  return html`<h1>Segmentation</h1>
    <div class="card">
      <div class="row"><${Range} value=${range} set=${(r) => set({ ...state, range: r, unit: undefined })} />
        <select aria-label="Per" value=${unit} onChange=${(e) => set({ ...state, unit: e.target.value })}>
          ${['hour', 'day', 'week', 'month'].map((u) => html`<option value=${u}>per ${u}</option>`)}</select>
        <select aria-label="Measure" value=${measure} onChange=${(e) => set({ ...state, measure: e.target.value })}>
          ${MEASURES.map(([m, words]) => html`<option value=${m}>${words}</option>`)}</select></div>
      <div class="row">${events.map((name) => html`<button onClick=${() => set({ ...state,
          events: events.filter((e) => e !== name) })} aria-label=${`Remove ${name}`}>${name} ×</button>`)}
        <${Pick} label="Add an event" kind="events" value="" set=${(name) => name && !events.includes(name) &&
          set({ ...state, events: [...events, name] })} />
        <span>by</span><${Pick} label="Break down by" kind="properties" event=${events[0]} value=${by}
          set=${(prop) => set({ ...state, by: prop })} /></div>
      <div class="row"><${Filters} value=${filters} event=${events[0]} set=${(f) => set({ ...state, filters: f })} /></div>
    </div>
    <${State} state=${answer}>${(a) => {
      const lines = a.series.map((l, i) => ({ ...l, name: nameOf(l), colour: COLOURS[i % COLOURS.length] }));
      if (!lines.length) return html`<p class="empty">No events in this time. Send one, or choose a longer time.</p>`;
      const shown = lines.filter((l) => !hidden[l.name]);
      return html`<div class="card"><${Chart} buckets=${a.buckets} lines=${shown} /></div>
        <div class="card scroll"><table><thead><tr><th>Segment</th><th class="number">Overall</th>
          ${a.buckets.map((b, i) => html`<th class="number">${b.slice(5, 16).replace('T', ' ')}${
            a.series[0]?.incomplete?.[i] ? '*' : ''}</th>`)}</tr></thead>
        <tbody>${lines.map((l) => html`<tr><td><label><input type="checkbox" checked=${!hidden[l.name]}
            onChange=${() => setHidden({ ...hidden, [l.name]: !hidden[l.name] })} />
          <span class="dot" style=${{ background: l.colour }}></span>${l.name}</label></td>
          <td class="number">${number(l.overall)}</td>
          ${l.values.map((v) => html`<td class="number">${number(v)}</td>`)}</tr>`)}</tbody></table></div>
        <p class="soft">* not finished yet</p><${Freshness} answer=${a} />`;
    }}<//>`;
}
