// person.js - one person: profile, ids, and what they did, newest first
import { html, useAsk, useState, useEffect, ask, send, canEdit, number, when, plural } from './api.js';
import { Pairs, State, Title, confirmed, toast } from './parts.js';
import { propWords } from './query.js';

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

export function Person({ id }) {
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
