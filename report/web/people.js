// people.js - who they are and what they did: a query as sentences, chosen columns; #/people?{"id":..} is one person
import { html, useAsk, useState, useEffect, ask, number, personHref, ago, when, plural, zone } from './api.js';
import { Check, Pick, Select, State, Table, Title, toast } from './parts.js';
import { Filter, Filters, Freshness, PickEvent, PickProp, didOf, leafWords, propWords, ready, useNames } from './query.js';
import { Saved, useReports } from './saved.js';
import { saveTable } from './table.js';
import { Person } from './person.js';

const COLUMNS = ['name', 'email', 'plan', '$city', '$country'];
const DID = { did: 'did', did_not: 'did not do', first_time: 'did for the first time' };
const HOW = { count: 'times', days: 'different days', sum: 'as the sum of' };
const OPS = { '>=': 'at least', '=': 'exactly', '<=': 'at most', '>': 'more than', '<': 'less than' };

// "did Purchase at least 3 times in the last 30 days"
function Did({ node, set, remove, at }) {
  const verb = didOf(node);
  const how = ['count', 'days', 'sum'].find((h) => node[h]) || 'count';
  const amount = node[how] || { op: '>=', n: 1 };
  const span = node.within?.last;
  const fixed = node.within?.from && node.within;
  const turn = (v) => set({ [v]: node[verb], ...(v === 'did' ? { count: { op: '>=', n: 1 } } : {}), within: node.within, where: node.where });
  const put = (part) => set({ ...node, count: undefined, days: undefined, sum: undefined, [how]: { ...amount, ...part } });
  const time = (w) => set({ ...node, within: w === 'last' ? { last: { n: 30, unit: 'day' } } : w === 'ever' ? 'ever' :
    { from: new Date(Date.now() - 30 * 86400000).toISOString().slice(0, 10), to: new Date().toISOString().slice(0, 10), zone } });
  return html`<${Select} bare label=${`Did or not ${at}`} value=${verb} options=${Object.entries(DID)} set=${turn} />
    <${PickEvent} label=${`Event ${at}`} value=${node[verb]} set=${(event) => set({ ...node, [verb]: event })} />
    ${verb === 'did' && html`<${Select} bare label=${`Amount ${at}`} value=${amount.op} options=${Object.entries(OPS)} set=${(op) => put({ op })} />
      <input type="number" min=${how === 'sum' ? undefined : 1} step="any" aria-label=${`How often ${at}`} value=${amount.n} onChange=${(e) => put({ n: Number(e.target.value) || 1 })} />
      <${Select} bare label=${`Measure ${at}`} value=${how} options=${Object.entries(HOW)} set=${(h) => set({ ...node, count: undefined, days: undefined, sum: undefined,
        [h]: { op: amount.op, n: amount.n, ...(h === 'sum' ? { prop: '' } : {}) } })} />
      ${how === 'sum' && html`<${PickProp} label=${`Summed ${at}`} of="event" event=${node[verb]} value=${amount} set=${({ prop }) => put({ prop })} />`}`}
    <${Select} bare label=${`When ${at}`} value=${span ? 'last' : fixed ? 'between' : 'ever'} options=${[['last', 'in the last'], ['between', 'between'], ['ever', 'at any time']]} set=${time} />
    ${span && html`<input type="number" min="1" aria-label=${`Within ${at}`} value=${span.n} onChange=${(e) => set({ ...node, within: { last: { ...span, n: Number(e.target.value) || 1 } } })} />
      <${Select} bare label=${`Within unit ${at}`} value=${span.unit} options=${['hour', 'day', 'week', 'month'].map((u) => [u, `${u}s`])} set=${(unit) => set({ ...node, within: { last: { ...span, unit } } })} />`}
    ${fixed && html`${['from', 'to'].map((k) => html`<input type="date" aria-label=${`${k} ${at}`} value=${fixed[k].slice(0, 10)} onChange=${(e) => e.target.value && set({ ...node, within: { ...fixed, [k]: e.target.value } })} />`)}`}
    <button class="icon" aria-label=${`Remove condition ${at}`} onClick=${remove}>✕</button>
    ${node[verb] && html`<div class="side-line"><${Filters} value=${node.where} event=${node[verb]} word="with" add="Filter of the event" set=${(tree) => set({ ...node, where: tree })} /></div>`}`;
}

function Query({ value, set, cohorts }) {
  const joint = value?.or ? 'or' : 'and';
  const list = value?.[joint] || [];
  const put = (next) => set(next.length ? { [joint]: next } : undefined);
  const add = (node) => put([...list, node]);
  return html`<div class="card stack">${list.map((node, i) => {
    const change = (n) => put(list.map((x, k) => (k === i ? n : x)));
    const remove = () => put(list.filter((_, k) => k !== i));
    return html`<div class="row" key=${i}>${i === 0 ? html`<span class="soft">People who</span>` : i === 1 ?
      html`<${Select} bare label="All or any" value=${joint} options=${['and', 'or']} set=${(j) => set({ [j]: list })} />` : html`<span class="soft">${joint}</span>`}
      ${didOf(node) ? html`<${Did} node=${node} at=${i + 1} set=${change} remove=${remove} />` :
      node.prop !== undefined ? html`<span class="soft">have</span><${Filter} leaf=${node} of="profile" at=${i + 1} set=${change} remove=${remove} />` :
      html`<span class="chip">${leafWords(node)}<button class="icon" aria-label=${`Remove ${leafWords(node)}`} onClick=${remove}>✕</button></span>`}</div>`;
  })}<div class="row">${!list.length && html`<span class="soft">Everybody. Narrow it down:</span>`}
    <button class="quiet" onClick=${() => add({ prop: '', op: 'is', values: [], of: 'profile' })}>+ Who they are</button>
    <button class="quiet" onClick=${() => add({ did: '', count: { op: '>=', n: 1 }, within: { last: { n: 30, unit: 'day' } } })}>+ What they did</button>
    ${cohorts.length > 0 && html`<${Pick} clear label="+ In a saved query" value="" set=${(name) => add({ in_cohort: name })} items=${cohorts.map((c) => ({ name: c.name, words: c.value.title || c.name }))} />`}</div></div>`;
}

const show = (value) => (value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));

async function exportAll(question, columns) {
  const rows = [];
  let page;
  do {
    const a = await ask('people', { ...question, limit: 1000, ...(page ? { page } : {}) });
    rows.push(...a.people.map((p) => [p.id, ...columns.map((c) => p.traits[c]), p.first_seen, p.last_seen]));
    page = a.next;
  } while (page && rows.length < 200000);
  saveTable('people', ['id', ...columns, 'first_seen', 'last_seen'], rows);
  if (page) toast(`The file has the first ${number(rows.length)} people: narrow the query for the rest.`, true);
}

function Columns({ columns, set }) {
  const { names } = useNames({ kind: 'properties', of: 'profile' });
  const [open, setOpen] = useState(false);
  const all = [...new Set([...COLUMNS, '$browser', '$os', '$device', '$utm_source', ...names.map((n) => n.name), ...columns])];
  return html`<button aria-expanded=${String(open)} onClick=${() => setOpen(!open)}>Columns · ${columns.length}</button>
    ${open && html`<div class="card row" role="group" aria-label="Columns" style=${{ flexBasis: '100%', margin: 0 }}>${all.map((c) => html`<${Check} key=${c} label=${propWords(c)} on=${columns.includes(c)}
      set=${(on) => set(on ? [...columns, c] : columns.filter((x) => x !== c))} />`)}</div>`}`;
}

function List({ state, set }) {
  const put = (part) => set(JSON.parse(JSON.stringify({ ...state, ...part })));
  const { columns = COLUMNS, sort = '-$last_seen', find = '' } = state;
  const [page, setPage] = useState(null);
  const reports = useReports();
  const query = ready(state.query);
  const found = find && { or: ['name', 'email', '$name', '$email'].map((prop) => ({ prop, op: 'contains', values: [find] })) };
  const question = { ...(query || found ? { query: { and: [query, found].filter(Boolean) } } : {}), columns, sort, universe: state.universe, zone };
  const key = JSON.stringify(question);
  useEffect(() => setPage(null), [key]);
  const answer = useAsk('people', { ...question, limit: 100, ...(page ? { page } : {}) }, 15000);
  const by = (name, column) => html`<button onClick=${() => put({ sort: sort === `-${column}` ? column : `-${column}` })}>${name}${sort === `-${column}` ? ' ↓' : sort === column ? ' ↑' : ''}</button>`;
  const table = [{ name: 'Person', cell: (p) => html`<a class="id" title=${p.id} href=${personHref(p.id)}>${p.id}</a>` },
    ...columns.map((c) => ({ name: by(propWords(c), c), cell: (p) => show(p.traits[c]) })),
    { name: by('First seen', '$first_seen'), cell: (p) => html`<span class="nowrap">${when(p.first_seen)}</span>` }, { name: by('Last seen', '$last_seen'), cell: (p) => html`<span class="nowrap" title=${when(p.last_seen)}>${ago(p.last_seen)}</span>` }];
  const saved = { query: query || { and: [] }, columns, sort, ...(state.universe ? { universe: state.universe } : {}) };
  return html`<${Title} title="People"><${Saved} kind="people" state=${state} set=${set} question=${query ? saved : null} /><//>
    <${Query} value=${state.query} set=${(tree) => put({ query: tree })} cohorts=${reports.reports.filter((f) => f.value?.kind === 'people' && f.name !== state.report)} />
    <div class="row controls"><input aria-label="Find by name, email or id" placeholder="Name, email or id" value=${find} onChange=${(e) => put({ find: e.target.value.trim() || undefined })} />
      ${find && html`<a href=${personHref(find)}>Open the id “${find}”</a>`}
      <${Check} label="Only with a profile" on=${state.universe === 'profiles'} set=${(on) => put({ universe: on ? 'profiles' : undefined })} /><span class="grow"></span>
      <${Columns} columns=${columns} set=${(c) => put({ columns: c })} />
      <button onClick=${() => exportAll(question, columns).catch((e) => toast(e.message, true))}>CSV</button></div>
    <${State} state=${answer}>${(a) => html`<p><span class="big">${number(a.total)}</span> <span class="soft">${a.total === 1 ? 'person' : 'people'}</span></p>
      <div class="card scroll" tabindex="0" role="region" aria-label="People"><${Table} label="People" columns=${table} rows=${a.people} keyOf=${(p) => p.id}
        empty=${query || find ? 'Nobody fits: take a condition away, or widen it.' : 'Nobody has been seen yet. People appear with their first event.'} /></div>
      <div class="row">${page && html`<button onClick=${() => setPage(null)}>To the first page</button>`}${a.next && html`<button onClick=${() => setPage(a.next)}>Next ${plural(100, 'person', 'people')}</button>`}</div>
      <${Freshness} answer=${a} />`}<//>`;
}

export default function People({ state, set }) {
  return state.id ? html`<${Person} key=${state.id} id=${state.id} />` : html`<${List} state=${state} set=${set} />`;
}
