// people.js - who they are and what they did: a query as sentences, chosen columns; #/people?{"id":..} is one person
import { html, useAsk, useState, useEffect, ask, send, canEdit, number, personHref, ago, when, plural, zone } from './api.js';
import { Check, Entry, Pairs, Pick, Select, State, Table, Title, confirmed, toast } from './parts.js';
import { Filter, Filters, Freshness, PickEvent, PickProp, Undone, didOf, leafWords, propWords, ready, useNames } from './query.js';
import { Saved, useReports } from './saved.js';
import { saveTable } from './who.js';

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
    <${PickEvent} focus=${!node[verb]} label=${`Event ${at}`} value=${node[verb]} set=${(event) => set({ ...node, [verb]: event })} />
    ${verb === 'did' && html`<${Select} bare label=${`Amount ${at}`} value=${amount.op} options=${Object.entries(OPS)} set=${(op) => put({ op })} />
      <${Entry} type="number" required min=${how === 'sum' ? undefined : 1} step="any" aria-label=${`How often ${at}`} value=${amount.n} set=${(n) => put({ n })} />
      <${Select} bare label=${`Measure ${at}`} value=${how} options=${Object.entries(HOW)} set=${(h) => set({ ...node, count: undefined, days: undefined, sum: undefined,
        [h]: { op: amount.op, n: amount.n, ...(h === 'sum' ? { prop: '' } : {}) } })} />
      ${how === 'sum' && html`<${PickProp} label=${`Summed ${at}`} of="event" event=${node[verb]} value=${amount} set=${({ prop }) => put({ prop })} />`}`}
    <${Select} bare label=${`When ${at}`} value=${span ? 'last' : fixed ? 'between' : 'ever'} options=${[['last', 'in the last'], ['between', 'between'], ['ever', 'at any time']]} set=${time} />
    ${span && html`<${Entry} type="number" required min="1" aria-label=${`Within ${at}`} value=${span.n} set=${(n) => set({ ...node, within: { last: { ...span, n } } })} />
      <${Select} bare label=${`Within unit ${at}`} value=${span.unit} options=${['hour', 'day', 'week', 'month'].map((u) => [u, `${u}s`])} set=${(unit) => set({ ...node, within: { last: { ...span, unit } } })} />`}
    ${fixed && html`${['from', 'to'].map((k) => html`<${Entry} type="date" required min=${k === 'to' ? fixed.from.slice(0, 10) : '1970-01-01'} max=${k === 'from' ? fixed.to.slice(0, 10) : undefined} aria-label=${`${k} ${at}`} value=${fixed[k].slice(0, 10)} set=${(day) => set({ ...node, within: { ...fixed, [k]: day } })} />`)}`}
    <button class="icon" aria-label=${`Remove condition ${at}`} onClick=${remove}>✕</button>${(!node[verb] || (node.sum && !node.sum.prop)) && html`<${Undone} />`}
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
  const { sort = '-$last_seen', find = '' } = state;
  const [page, setPage] = useState(null);
  const reports = useReports();
  const query = ready(state.query);
  const found = find && { or: ['name', 'email', '$name', '$email'].map((prop) => ({ prop, op: 'contains', values: [find] })) };
  const question = { ...(query || found ? { query: { and: [query, found].filter(Boolean) } } : {}), columns: state.columns || COLUMNS, sort, universe: state.universe, zone };
  const key = JSON.stringify(question);
  useEffect(() => setPage(null), [key]);
  const answer = useAsk('people', { ...question, limit: 100, ...(page ? { page } : {}) }, 15000);
  // Of the usual columns, those in which somebody has something.
  const all = answer.answer?.people || [];
  const columns = state.columns || COLUMNS.filter((c) => !all.length || all.some((p) => show(p.traits[c])));
  const by = (name, column) => html`<button onClick=${() => put({ sort: sort === `-${column}` ? column : `-${column}` })}>${name}${sort === `-${column}` ? ' ↓' : sort === column ? ' ↑' : ''}</button>`;
  const table = [{ name: 'Person', cell: (p) => html`<a class="id" title=${p.id} href=${personHref(p.id)}>${p.id}</a>` },
    ...columns.map((c) => ({ name: by(propWords(c), c), cell: (p) => show(p.traits[c]) })),
    { name: by('First seen', '$first_seen'), cell: (p) => html`<span class="nowrap" title=${when(p.first_seen)}>${ago(p.first_seen)}</span>` }, { name: by('Last seen', '$last_seen'), cell: (p) => html`<span class="nowrap" title=${when(p.last_seen)}>${ago(p.last_seen)}</span>` }];
  const saved = { query: query || { and: [] }, ...(state.columns ? { columns } : {}), sort, ...(state.universe ? { universe: state.universe } : {}) };
  return html`<${Title} title="People"><${Saved} kind="people" state=${state} set=${set} question=${query ? saved : null} /><//>
    <${Query} value=${state.query} set=${(tree) => put({ query: tree })} cohorts=${reports.reports.filter((f) => f.value?.kind === 'people' && f.name !== state.report)} />
    <div class="row controls"><${Entry} aria-label="Find by name, email or id" placeholder="Name, email or id" value=${find} set=${(text) => put({ find: text.trim() || undefined })} />
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

// --- one person: profile, ids, and what they did, newest first ---

const time = (text) => new Date(text).toLocaleTimeString('en-GB');
const day = (text) => new Date(text).toLocaleDateString('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const split = (properties) => {
  const own = {};
  const known = {};
  for (const [k, v] of Object.entries(properties)) (k[0] === '$' ? known : own)[k[0] === '$' ? propWords(k) : k] = v;
  return [own, known];
};

function Event({ e }) {
  const [open, setOpen] = useState(false);
  const [own, known] = split(e.properties);
  const place = [e.properties.$path || e.properties.$screen_name, e.properties.$city || e.properties.$country, e.properties.$browser].filter(Boolean).join(' · ');
  return html`<li><div class="row"><button class="icon" aria-expanded=${String(open)} aria-label=${`Properties of ${e.event}, ${time(e.time)}`} onClick=${() => setOpen(!open)}>${open ? '▾' : '▸'}</button>
      <b>${e.event}</b><span class="soft small">${place}</span><span class="grow"></span><span class="soft small nowrap">${time(e.time)}</span></div>
    ${open && html`<div class="two"><div><h3>Properties</h3>${Object.keys(own).length ? html`<${Pairs} of=${own} />` : html`<p class="soft">None of its own.</p>`}</div><div><h3>Found out</h3><${Pairs} of=${known} /></div></div>`}</li>`;
}

function Feed({ id, first }) {
  const [older, setOlder] = useState({ events: [], next: undefined });
  const [text, setText] = useState('');
  const next = older.next === undefined ? first.next : older.next;
  const more = () => ask('person', { id, limit: 100, before: next }).then((a) => setOlder({ events: [...older.events, ...a.events], next: a.next })).catch((e) => toast(e.message, true));
  // New events come on top; where older ones were asked for, what is in both stands once.
  const seen = new Set();
  const all = [...first.events, ...older.events].filter((e) => { const k = e.time + e.event + JSON.stringify(e.properties); const is = seen.has(k); seen.add(k); return !is; })
    .filter((e) => !text || e.event.toLowerCase().includes(text.toLowerCase()));
  const days = [];
  for (const e of all) { const d = day(e.time); if (days.at(-1)?.[0] === d) days.at(-1)[1].push(e); else days.push([d, [e]]); }
  return html`<div class="card"><div class="row"><h2>${plural(first.event_count, 'event')}</h2><span class="grow"></span>
      <input aria-label="Search events" placeholder="Search events" value=${text} onInput=${(e) => setText(e.target.value)} /></div>
    ${days.map(([d, events]) => html`<h3 class="row">${d}</h3><ul class="feed">${events.map((e) => html`<${Event} key=${e.time + e.event} e=${e} />`)}</ul>`)}
    ${!all.length && html`<p class="wait">${text ? 'No such event among those shown.' : 'Nothing yet.'}</p>`}
    ${next && html`<button onClick=${more}>Show older events</button>`}</div>`;
}

function Person({ id }) {
  const state = useAsk('person', { id, limit: 100 }, 5000);
  const [text, setText] = useState('');
  useEffect(() => { document.title = `${id} · millrace`; }, [id]);
  const forget = async () => {
    if (!await confirmed({ title: 'Forget this person?', words: `All events and the profile of ${id} are deleted for good, of all ids of this person. This cannot be undone.`, action: 'Forget' })) return;
    send('POST', '/api/v1/delete', { id }).then(() => { toast('Deleted; it takes effect within seconds.'); location.hash = '#/people'; }).catch((e) => toast(e.message, true));
  };
  if (state.status === 404) return html`<${Title} title=${id} /><div class="card empty"><h2>Nobody is known by this id</h2><p>It may have been deleted, or no event with it has come yet.</p><a class="button" href="#/people">All people</a></div>`;
  return html`<${State} state=${state}>${(a) => {
    const t = a.traits;
    const traits = Object.fromEntries(Object.entries(t).filter(([k, v]) => !text || `${k} ${JSON.stringify(v)}`.toLowerCase().includes(text.toLowerCase())));
    return html`<${Title} title=${t.name || t.$name || t.email || t.$email || a.id}><a class="button" href="#/people">All people</a>
        ${canEdit() && html`<button class="danger" onClick=${forget}>Forget…</button>`}<//>
      <div class="two"><div><div class="card"><h2>Profile</h2>
          ${Object.keys(t).length > 8 && html`<p><input aria-label="Search the profile" placeholder="Search" value=${text} onInput=${(e) => setText(e.target.value)} /></p>`}
          ${Object.keys(t).length ? html`<${Pairs} of=${Object.fromEntries(Object.entries(traits).map(([k, v]) => [propWords(k), v]))} />` : html`<p class="soft">No properties yet: an identify call sets them.</p>`}</div>
        <div class="card"><h2>Seen</h2><${Pairs} of=${{ First: when(a.first_seen), Last: when(a.last_seen), Events: number(a.event_count) }} /></div>
        <div class="card"><h2>Ids</h2>${a.ids.map((i) => html`<p class="small" style=${{ overflowWrap: 'anywhere' }}>${i}</p>`)}</div></div>
      <${Feed} id=${id} first=${a} /></div>`;
  }}<//>`;
}

export default function People({ state, set }) {
  return state.id ? html`<${Person} key=${state.id} id=${state.id} />` : html`<${List} state=${state} set=${set} />`;
}
