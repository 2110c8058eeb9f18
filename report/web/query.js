// query.js - what questions are built from: time, names with counts, filters as sentences.
// A page's state is the question as docs/questions.md has it, so that its address and its saved file read alike;
// what only the page needs is in `view`, and filters that are not filled in yet are left out by ready().
import { html, useAsk, useEffect, useState, number, when, ago, zone } from './api.js';
import { Choices, Empty, Entry, Pick, Select } from './parts.js';

// --- time ---

const DAY = 86400000;
const PRESETS = { 'Today': [1, 'day'], '7D': [7, 'day'], '30D': [30, 'day'], '3M': [3, 'month'], '12M': [12, 'month'] };
const SIZES = { minute: DAY / 1440, hour: DAY / 24, day: DAY, week: 7 * DAY, month: 30.5 * DAY, quarter: 91.5 * DAY, year: 366 * DAY };
export const isDate = (text) => text.length === 10;
export const localDay = (time) => { const d = new Date(time); return [d.getFullYear(), String(d.getMonth() + 1).padStart(2, '0'),
  String(d.getDate()).padStart(2, '0')].join('-'); };
export const timeOf = (text) => Date.parse(isDate(text) ? `${text}T00:00:00` : text);
export const addDays = (text, n) => { const d = new Date(`${text}T12:00:00`); d.setDate(d.getDate() + n); return localDay(d); };

export const rangeOf = (state) => (state.from ? { from: state.from, to: state.to, zone } : { last: state.last || { n: 30, unit: 'day' }, zone });
export function lengthOf(state) {
  const r = rangeOf(state);
  return r.from ? timeOf(r.to) - timeOf(r.from) + (isDate(r.to) ? DAY : 0) : r.last.n * SIZES[r.last.unit];
}
export function defaultUnit(state) {
  const length = lengthOf(state);
  return length <= 3 * 3600000 ? 'minute' : length <= 2 * DAY ? 'hour' : length <= 95 * DAY ? 'day' : length <= 400 * DAY ? 'week' : 'month';
}
export const unitsOf = (state) => Object.keys(SIZES).filter((u) => lengthOf(state) / SIZES[u] <= 1500 && (u !== 'quarter' || lengthOf(state) > 100 * DAY) &&
  (u !== 'year' || lengthOf(state) > 400 * DAY)).map((u) => [u, `by ${u}`]);

export function bucketWords(bucket, unit) {
  const d = new Date(timeOf(bucket));
  if (unit === 'hour' || unit === 'minute') return d.toLocaleString('en-GB', { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  if (unit === 'month' || unit === 'quarter') return d.toLocaleString('en-GB', { month: 'short', year: 'numeric' });
  return d.toLocaleString('en-GB', unit === 'year' ? { year: 'numeric' } : { weekday: unit === 'week' ? undefined : 'short', day: 'numeric', month: 'short' });
}

// The bucket as the `within` of a question about people.
export function withinOf(bucket, unit) {
  if (!isDate(bucket)) return { from: bucket, to: new Date(Date.parse(bucket) + SIZES[unit]).toISOString() };
  if (unit === 'day') return { from: bucket, to: bucket, zone };
  if (unit === 'week') return { from: bucket, to: addDays(bucket, 6), zone };
  const d = new Date(`${bucket}T12:00:00`);
  d.setMonth(d.getMonth() + { month: 1, quarter: 3, year: 12 }[unit]);
  return { from: bucket, to: addDays(localDay(d), -1), zone };
}

export function Range({ state, set }) {
  const now = rangeOf(state);
  const named = !now.from && Object.keys(PRESETS).find((k) => PRESETS[k][0] === now.last.n && PRESETS[k][1] === now.last.unit);
  const part = (key) => (now.from ? (isDate(now[key]) ? now[key] : localDay(Date.parse(now[key]) - (key === 'to' ? 1 : 0))) :
    localDay(Date.now() - (key === 'from' ? lengthOf(state) - DAY : 0)));
  const days = (from, to) => set({ from, to, last: undefined });
  const choose = (name) => (name === 'Custom' ? days(part('from'), part('to')) :
    set({ last: { n: PRESETS[name][0], unit: PRESETS[name][1] }, from: undefined, to: undefined }));
  return html`<${Choices} label="Time" value=${now.from ? 'Custom' : named} set=${choose} options=${[...Object.keys(PRESETS), 'Custom']} />
    ${now.from && html`<span class="row"><${Entry} type="date" required min="1970-01-01" max=${part('to')} aria-label="From" value=${part('from')} set=${(day) => days(day, part('to'))} />
      – <${Entry} type="date" required min=${part('from')} max="2999-12-31" aria-label="To" value=${part('to')} set=${(day) => days(part('from'), day)} />
      ${!isDate(now.from) && html`<span class="soft small">${when(now.from)} – ${when(now.to)}</span>`}</span>`}`;
}

// --- names ---

const ACRONYMS = { utm: 'UTM', url: 'URL', ip: 'IP', os: 'OS', asn: 'ASN', id: 'ID' };
// $utm_source -> UTM source; what people named themselves stays as it is.
export const propWords = (prop) => (prop?.[0] !== '$' ? prop || '' : prop.slice(1).split('_')
  .map((w, i) => ACRONYMS[w] || (i ? w : w[0].toUpperCase() + w.slice(1))).join(' '));
export const eventWords = (event) => (event === '*' ? 'Any event' : event);

// All names, as far as they fit; where there are more, those that begin with what is typed, too.
const NAMES = 500;
export const useNames = (question, prefix) => {
  const state = useAsk('names', question && { limit: NAMES, ...question });
  const all = Array.isArray(state.answer) ? state.answer : [];
  const more = useAsk('names', question && prefix && all.length === NAMES ? { limit: 50, ...question, prefix } : null);
  return { busy: state.busy || more.busy, again: state.again, names: Array.isArray(more.answer) ? [...all, ...more.answer.filter((n) => !all.some((x) => x.name === n.name))] : all };
};

export function PickEvent({ label = 'Event', value, set, any = true, clear, focus }) {
  const [prefix, search] = useState('');
  const { names, busy, again } = useNames({ kind: 'events' }, prefix);
  return html`<${Pick} label=${label} value=${value} set=${(v) => { search(''); set(v); }} search=${search} opened=${again} focus=${focus} free busy=${busy} clear=${clear} items=${[
    ...(any ? [{ name: '*', words: 'Any event' }] : []), ...names.map((n) => ({ name: n.name, note: number(n.count) }))]} />`;
}

// What people have from their latest events; their values are those of events.
const LATEST = ['$country', '$region', '$city', '$browser', '$os', '$device'];

// Of events, of persons, or (of = 'both') both; set({ prop, of }).
export function PickProp({ label = 'Property', value, set, event, of, clear, focus }) {
  const [prefix, search] = useState('');
  const events = useNames(of === 'profile' ? null : { kind: 'properties', ...(event && event !== '*' ? { event } : {}) }, prefix);
  const persons = useNames(of === 'event' ? null : { kind: 'properties', of: 'profile' }, prefix);
  const items = [...(of === 'profile' ? LATEST.map((n) => ({ name: `p${n}`, words: propWords(n), note: 'last seen' })) : []), ...events.names.filter((n) => n.name !== '$event').map((n) => ({ name: `e${n.name}`, words: propWords(n.name), note: number(n.count) })),
    ...persons.names.filter((n) => of !== 'profile' || !LATEST.includes(n.name)).map((n) => ({ name: `p${n.name}`, words: of === 'profile' ? propWords(n.name) : `${propWords(n.name)} (person)`, note: number(n.count) }))];
  const own = value?.prop ? (value.of === 'profile' ? 'p' : 'e') + value.prop : '';
  if (own && !items.some((i) => i.name === own)) items.push({ name: own, words: propWords(value.prop) });
  const take = (v) => { search(''); return set(items.some((i) => i.name === v) ? { prop: v.slice(1), of: v[0] === 'p' ? 'profile' : undefined } :
    { prop: v, of: of === 'profile' ? 'profile' : undefined }); };
  return html`<${Pick} label=${label} value=${own} set=${take} items=${items} search=${search} opened=${() => { events.again(); persons.again(); }} focus=${focus} free clear=${clear} busy=${events.busy || persons.busy} />`;
}

// --- filters ---

export const needsProp = (m) => ['sum', 'avg', 'median', 'min', 'max', 'p25', 'p75', 'p90', 'p99', 'distinct'].includes(m);

const WORDS = { is: 'is', is_not: 'is not', contains: 'contains', not_contains: 'does not contain', starts_with: 'starts with', ends_with: 'ends with',
  matches: 'matches (regex)', not_matches: 'does not match', '=': 'equals', '!=': 'does not equal', '>': 'greater than', '>=': 'at least', '<': 'less than', '<=': 'at most',
  between: 'between', not_between: 'not between', on: 'on', before: 'before', after: 'after', in_last: 'in the last', not_in_last: 'not in the last',
  is_true: 'is true', is_false: 'is false', is_set: 'is set', is_not_set: 'is not set' };
const SET = ['is_set', 'is_not_set'];
const OPS = { string: ['is', 'is_not', 'contains', 'not_contains', 'starts_with', 'ends_with', 'matches', 'not_matches', ...SET],
  number: ['=', '!=', '>', '>=', '<', '<=', 'between', 'not_between', ...SET],
  date: ['on', 'before', 'after', 'between', 'in_last', 'not_in_last', ...SET], boolean: ['is_true', 'is_false', ...SET] };
OPS.list = OPS.string;
const bare = (op) => /^is_(true|false|set|not_set)$/.test(op);
const two = (op) => op === 'between' || op === 'not_between';
const DID = ['did', 'did_not', 'first_time'];
export const didOf = (f) => DID.find((d) => f[d] !== undefined);
const isDone = (f) => f.in_cohort || (f.prop && (bare(f.op) || (f.values?.length >= (two(f.op) ? 2 : 1) && f.values.every((v) => v !== '' && v !== null))));

// The tree without what is not filled in; undefined where nothing is left.
export function ready(tree) {
  const list = tree?.and || tree?.or;
  if (!list) return tree && (Array.isArray(tree) ? tree : isDone(tree) || tree.not ? tree : undefined);
  const done = list.map(({ fresh, ...f }) => (f.and || f.or ? ready(f) : f.prop !== undefined && !isDone(f) ? undefined :
    DID.some((d) => f[d] === '') || (f.sum && !f.sum.prop) ? undefined : f.where ? { ...f, where: ready(f.where) } : f)).filter(Boolean);
  return done.length ? { [tree.and ? 'and' : 'or']: done } : undefined;
}
export const where = (tree) => (ready(tree) ? { where: ready(tree) } : {});

export const leafWords = (f) => (f.in_cohort ? `in “${f.in_cohort}”` : f.prop ? `${propWords(f.prop)} ${WORDS[f.op] || f.op}${bare(f.op) ? '' :
  ` ${(f.values || []).map((v) => (v?.unit ? `${v.n} ${v.unit}s` : v)).join(two(f.op) ? ' and ' : ' or ')}`}` : JSON.stringify(f));

function Values({ leaf, set, names, label, type }) {
  const values = leaf.values || [];
  const cast = (name) => { const of = names.find((n) => n.name === name)?.type; return of === 'number' ? Number(name) : of === 'boolean' ? name === 'true' : name; };
  const put = (i, v) => { const next = [...values]; next[i] = v; set(next); };
  const field = (i, kind, words) => html`<${Entry} type=${kind} step="any" aria-label=${words} placeholder=${kind === 'text' ? 'Value' : ''} value=${values[i]} set=${(v) => put(i, v)} />`;
  if (bare(leaf.op)) return null;
  if (leaf.op.endsWith('in_last')) {
    const span = values[0]?.unit ? values[0] : { n: 30, unit: 'day' };
    return html`<${Entry} type="number" required min="1" aria-label=${`${label}: how many`} value=${span.n} set=${(n) => put(0, { ...span, n })} />
      <${Select} bare label=${`${label}: unit`} value=${span.unit} set=${(unit) => put(0, { ...span, unit })}
        options=${['hour', 'day', 'week', 'month'].map((u) => [u, `${u}s`])} />`;
  }
  const kind = type === 'date' ? 'date' : OPS.number.includes(leaf.op) && !SET.includes(leaf.op) ? 'number' : 'text';
  if (two(leaf.op)) return html`${field(0, kind, `${label}: from`)} and ${field(1, kind, `${label}: to`)}`;
  if (!['is', 'is_not'].includes(leaf.op)) return field(0, kind, label);
  return html`${values.map((v) => html`<span class="chip">${v === '' ? '(empty)' : String(v)}<button type="button" class="icon" aria-label=${`Remove ${v}`}
      onClick=${() => set(values.filter((x) => x !== v))}>✕</button></span>`)}
    <${Pick} clear free label=${values.length ? 'or another value' : label} value="" set=${(v) => v !== '' && !values.includes(cast(v)) && set([...values, cast(v)])}
      items=${names.filter((n) => !values.includes(cast(n.name))).map((n) => ({ name: n.name, note: number(n.count) }))} />`;
}

// A condition that is not filled in is not asked for, and nothing with it is saved.
export const Undone = () => html`<span class="warn small">not complete yet, so not used</span>`;
const isHalf = (f) => f[didOf(f)] === '' || f.sum && !f.sum.prop || needsProp(f.measure) && !f.prop || f.prop !== undefined && f.op && !isDone(f);
export const half = (node) => !!node && typeof node === 'object' && (isHalf(node) || Object.values(node).some(half));

export function Filter({ leaf, set, remove, event, of, at }) {
  const { names } = useNames(leaf.prop ? { kind: 'values', prop: leaf.prop, ...(leaf.of && !LATEST.includes(leaf.prop) ? { of: leaf.of } : event && event !== '*' ? { event } : {}) } : null);
  const kinds = names.map((n) => n.type);
  const type = ['number', 'boolean', 'date', 'list'].find((t) => kinds.length && kinds.every((k) => k === t)) || 'string';
  const ops = [...new Set([...OPS[type], leaf.op])];
  // A new property begins with the first operator that its values have.
  useEffect(() => { if (leaf.fresh && names.length) set({ ...leaf, fresh: undefined, op: OPS[type][0] }); }, [leaf.fresh, names.length]);
  const choose = (op) => set({ ...leaf, fresh: undefined, op, values: op.endsWith('in_last') ? [{ n: 30, unit: 'day' }] :
    leaf.op.endsWith('in_last') || bare(op) ? [] : leaf.values });
  return html`<${PickProp} focus=${!leaf.prop} label=${`Property ${at}`} value=${leaf} event=${event} of=${of} set=${(p) => set({ ...p, op: 'is', values: [], fresh: 1 })} />
    ${leaf.prop && html`<${Select} bare label=${`Condition ${at}`} value=${leaf.op} set=${choose} options=${ops.map((o) => [o, WORDS[o] || o])} />
      <${Values} leaf=${leaf} names=${names} type=${type} label=${`Value ${at}`} set=${(values) => set({ ...leaf, values })} />`}
    <button type="button" class="icon" aria-label=${`Remove condition ${at}`} onClick=${remove}>✕</button>${!isDone(leaf) && html`<${Undone} />`}`;
}

// tree: {and|or: [leaf..]}. word: what a row begins with. of: 'event', 'profile' or nothing for both.
export function Filters({ value, set, event, of, word = 'where', add = 'Filter', cohorts = [] }) {
  const joint = value?.or ? 'or' : 'and';
  const list = value?.[joint] || [];
  const put = (next) => set(next.length ? { [joint]: next } : undefined);
  const change = (i, leaf) => put(list.map((f, k) => (k === i ? leaf : f)));
  const remove = (i) => put(list.filter((_, k) => k !== i));
  return html`${list.map((f, i) => html`<div class="row line" key=${i}>${i === 0 ? html`<span class="soft">${word}</span>` :
      i === 1 ? html`<${Select} bare label="All or any" value=${joint} set=${(j) => set({ [j]: list })} options=${['and', 'or']} />` : html`<span class="soft">${joint}</span>`}
      ${f.prop !== undefined ? html`<${Filter} leaf=${f} at=${i + 1} event=${event} of=${of} set=${(leaf) => change(i, leaf)} remove=${() => remove(i)} />` :
      html`<span class="chip">${leafWords(f)}<button type="button" class="icon" aria-label=${`Remove ${leafWords(f)}`} onClick=${() => remove(i)}>✕</button></span>`}</div>`)}
    <div class="row"><button type="button" class="quiet" onClick=${() => put([...list, { prop: '', op: 'is', values: [] }])}>+ ${add}</button>
      ${cohorts.length > 0 && html`<${Pick} clear label="In a saved query" value="" set=${(name) => put([...list, { in_cohort: name }])}
        items=${cohorts.map((c) => ({ name: c.name, words: c.value?.title || c.name }))} />`}</div>`;
}

// --- below an answer ---

// Names that nothing has: why an answer is empty.
const missing = ({ unknown }) => unknown && Object.entries({ event: unknown.events, property: unknown.properties }).filter(([, names]) => names.length)
  .map(([kind, names]) => `There is no ${kind} “${names.map(propWords).join('” or “')}”`).join('. ');

export const Nothing = ({ answer, title, children }) => html`<${Empty} title=${missing(answer) || title}>${missing(answer) ?
  html`<p>None of this name has come so far. Choose another, or see how it is written.</p>` : children}<//><${Freshness} answer=${{ ...answer, unknown: undefined }} />`;

export function Freshness({ answer }) {
  const behind = answer.complete_through ? Date.parse(answer.computed_at) - Date.parse(answer.complete_through) : 0;
  return html`${answer.unknown && html`<p class="note">${missing(answer)}.</p>`}${!answer.complete_through && html`<p class="note">No event has been read yet: the numbers begin with the first one.</p>`}
    ${behind > 60000 && html`<p class="note">Newer events are still on their way: these numbers are complete through ${when(answer.complete_through)}.</p>`}
    <p class="soft small">${`Updated ${ago(answer.computed_at)}, in ${answer.took_ms} ms, from ${number(answer.scanned)} events; complete through ${
      when(answer.complete_through)}.`}</p>`;
}

// --- a page's state as the question: what is not filled in yet is left out, defaults are said ---

export function trendOf(state) {
  const { view, report, unit, where: filters, measures = [], breakdown = [], ...rest } = state;
  const done = measures.filter((m) => m.event && (!needsProp(m.measure) || m.prop));
  const by = breakdown.filter((b) => b.prop);
  const asked = done.length ? done : by.length ? [{ event: '*', measure: 'total' }] : [];
  const sums = asked.every((m) => ['total', 'unique', 'per_user', 'sum', 'sessions'].includes(m.measure));
  return { ...(asked.length ? { measures: asked.map((m) => ({ ...m, where: ready(m.where) })) } : {}), ...(by.length ? { breakdown: by } : {}), ...rest,
    ...where(filters), ...rangeOf(state), unit: unit || defaultUnit(state), ...(rest.formula && asked.length ? {} : { formula: undefined }), ...(rest.cumulative && sums && asked.length ? {} : { cumulative: undefined }),
    ...(rest.rolling && asked.length ? {} : { rolling: undefined }) };
}

export function funnelOf(state) {
  const { view, report, steps = [], where: filters, breakdown, ...rest } = state;
  const done = steps.filter((s) => s.event || s.any_of);
  return done.length ? JSON.parse(JSON.stringify({ steps: done.map((s) => ({ ...s, where: ready(s.where) })),
    window: { n: 7, unit: 'day' }, ...rest, ...(breakdown?.prop ? { breakdown } : {}), ...where(filters), ...rangeOf(state) })) : null;
}

const PERIODS = { day: 14, week: 8, month: 6 };
export function retentionOf(state) {
  const { view, report, where: filters, start = {}, return: back = {}, unit = 'week', periods, ...rest } = state;
  const event = (e) => ({ ...e, event: e.event || '*', where: ready(e.where) });
  return JSON.parse(JSON.stringify({ start: event(start), return: event(back), unit, periods: periods || PERIODS[unit], ...rest,
    ...where(filters), ...rangeOf({ ...state, last: state.last || { n: 3, unit: 'month' } }) }));
}
