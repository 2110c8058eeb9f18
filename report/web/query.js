// query.js - what questions are built from: ranges, names, filters
import { html, useAsk, useState, useEffect, number, zone } from './api.js';

export const RANGES = { 'Today': [1, 'day', 'hour'], '7 days': [7, 'day', 'day'], '30 days': [30, 'day', 'day'],
  '12 weeks': [12, 'week', 'week'] };
export const last = (name) => ({ last: { n: (RANGES[name] || RANGES['30 days'])[0],
  unit: (RANGES[name] || RANGES['30 days'])[1] }, zone });

export const Range = ({ value, set }) => html`<span class="tabs row" role="group" aria-label="Time">
  ${Object.keys(RANGES).map((name) => html`<button aria-pressed=${name === value}
    onClick=${() => set(name)}>${name}</button>`)}</span>`;

// A text field with a menu of real names and how often they came.
export function Pick({ label, value, set, kind, event, prop, of }) {
  const [text, setText] = useState(value || '');
  useEffect(() => setText(value || ''), [value]);
  const question = { kind, limit: 100, ...(event && event !== '*' ? { event } : {}), ...(prop ? { prop } : {}),
    ...(of ? { of } : {}) };
  const { answer } = useAsk('names', question);
  const names = Array.isArray(answer) ? answer : answer?.names || [];
  const id = `pick-${label.replace(/\W/g, '')}-${kind}-${prop || ''}`;
  return html`<span><input aria-label=${label} placeholder=${label} list=${id} value=${text}
      onInput=${(e) => { setText(e.target.value); if (names.some((n) => n.name === e.target.value)) set(e.target.value); }}
      onChange=${(e) => set(e.target.value)} />
    <datalist id=${id}>${names.map((n) => html`<option value=${String(n.name)}>${number(n.count)}</option>`)}</datalist></span>`;
}

const OPERATORS = [['is', 'is'], ['is_not', 'is not'], ['contains', 'contains'], ['>', 'greater than'],
  ['<', 'less than'], ['is_set', 'is set'], ['is_not_set', 'is not set']];
const asValue = (op, text) => (['>', '<'].includes(op) ? Number(text) : text);

// {prop, op, value} as the question's leaf.
export const leaf = (f, of) => ({ prop: f.prop, op: f.op, ...(of ? { of } : {}),
  ...(f.op.endsWith('_set') ? {} : { values: [asValue(f.op, f.value || '')] }) });
export const where = (filters, of) => {
  const ready = (filters || []).filter((f) => f.prop && (f.op.endsWith('_set') || f.value));
  return ready.length ? { where: { and: ready.map((f) => leaf(f, of)) } } : {};
};

export function Filters({ value = [], set, event, of }) {
  const change = (i, part) => set(value.map((f, k) => (k === i ? { ...f, ...part } : f)));
  return html`${value.map((f, i) => html`<span class="row">where
      <${Pick} label=${`Property ${i + 1}`} kind="properties" event=${event} of=${of} value=${f.prop}
        set=${(prop) => change(i, { prop })} />
      <select aria-label="Condition" value=${f.op} onChange=${(e) => change(i, { op: e.target.value })}>
        ${OPERATORS.map(([op, words]) => html`<option value=${op}>${words}</option>`)}</select>
      ${!f.op.endsWith('_set') && html`<${Pick} label=${`Value ${i + 1}`} kind="values" event=${event} of=${of}
        prop=${f.prop || '$browser'} value=${f.value} set=${(v) => change(i, { value: v })} />`}
      <button aria-label="Remove the condition" onClick=${() => set(value.filter((_, k) => k !== i))}>×</button></span>`)}
    <button onClick=${() => set([...value, { prop: '', op: 'is', value: '' }])}>+ Filter</button>`;
}

export const State = ({ state, children }) => html`
  ${state.error && html`<p class="error" role="alert">${state.error}</p>`}
  ${!state.error && !state.answer && html`<p class="empty">Loading…</p>`}
  ${state.answer && children(state.answer)}`;

export const Freshness = ({ answer }) => html`<p class="soft">${`Computed in ${answer.took_ms} ms over ${number(answer.scanned)} events; complete through ${
  answer.complete_through || 'nothing yet'}.`}</p>`;
