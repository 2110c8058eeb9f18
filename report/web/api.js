// api.js - questions to the server, the page's address as its state, and small pieces that all pages use
import { h, render } from './preact.js';
import { useState, useEffect, useRef, useMemo } from './hooks.js';
import htm from './htm.js';

export const html = htm.bind(h);
export { h, render, useState, useEffect, useRef, useMemo };

let csrf = '';
export const setCsrf = (token) => { csrf = token; };

export async function send(method, path, body, signal) {
  const answer = await fetch(path, {
    method, signal, headers: { 'Content-Type': 'application/json', 'X-Csrf-Token': csrf },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  let value = {};
  try { value = JSON.parse(text); } catch { /* no JSON: said below */ }
  if (!answer.ok) {
    const error = value.error || { message: `the server answered ${answer.status}` };
    throw Object.assign(new Error(error.message + (error.at ? ` (${error.at})` : '')), { status: answer.status });
  }
  return value;
}

export const ask = (kind, question, signal) => send('POST', `/api/v1/query/${kind}`, question, signal);

// The answer to a question that changes: { answer, error, busy }; the one before stays until the next is there.
export function useAsk(kind, question, every = 0) {
  const [state, setState] = useState({ busy: true });
  const text = JSON.stringify(question);
  useEffect(() => {
    if (!question) { setState({}); return undefined; }
    const abort = new AbortController();
    let timer;
    const run = () => ask(kind, JSON.parse(text), abort.signal)
      .then((answer) => setState({ answer }))
      .catch((error) => { if (error.name !== 'AbortError') setState({ error: error.message }); })
      .finally(() => { if (every && !abort.signal.aborted) timer = setTimeout(run, every); });
    setState((old) => ({ ...old, busy: true }));
    run();
    return () => { abort.abort(); clearTimeout(timer); };
  }, [kind, text, every]);
  return state;
}

// State of a page lives in the address: #/funnels?{...}; so it can be sent to others, and back works.
export function readAddress() {
  const [path, query] = decodeURIComponent(location.hash.slice(1) || '/').split(/\?(.*)/s);
  try { return { path, state: query ? JSON.parse(query) : {} }; } catch { return { path, state: {} }; }
}

export function writeAddress(path, state) {
  const query = Object.keys(state).length ? `?${JSON.stringify(state)}` : '';
  const next = `#${encodeURI(path + query).replace(/#/g, '%23')}`;
  if (next !== location.hash) location.hash = next;
}

export const number = (value) => (value === null || value === undefined ? '–' :
  Number(value).toLocaleString(undefined, { maximumFractionDigits: 2 }));
export const percent = (value) => (value === null || value === undefined ? '–' : `${(100 * value).toFixed(1)} %`);

export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  const units = [['d', 86400000], ['h', 3600000], ['min', 60000], ['s', 1000]];
  const unit = units.find(([, size]) => ms >= size) || ['s', 1000];
  return `${(ms / unit[1]).toFixed(1)} ${unit[0]}`;
}

export const RANGES = { 'Today': [1, 'day', 'hour'], '7 days': [7, 'day', 'day'], '30 days': [30, 'day', 'day'],
  '12 weeks': [12, 'week', 'week'] };
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
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
