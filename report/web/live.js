// live.js - the feed of incoming events: filtered on the server, resting while one looks at it
import { html, useEffect, useRef, useState, number, personHref, send } from './api.js';
import { Check, Empty, Entry, Pairs, Pick, Title } from './parts.js';
import { PickEvent, propWords, useNames } from './query.js';

const ROWS = 100;
const FIELDS = ['type', 'source', 'user_id', 'anonymous_id', 'country', 'region', 'city', 'browser', 'browser_version', 'os', 'device', 'bot', 'url', 'path', 'title',
  'referring_domain', 'utm_source', 'utm_medium', 'utm_campaign', 'library', 'locale', 'ip', 'group_id', 'message_id'];
const COLUMNS = ['person', 'place', 'browser', 'referring_domain'];
const ALL = ['person', 'place', ...FIELDS];
const words = (field) => propWords(`$${field}`);
const who = (r) => r.user_id || r.anonymous_id || '';
const clock = (text) => new Date(text).toLocaleTimeString('en-GB');

function cell(r, column) {
  if (column === 'person') return who(r) ? html`<a class="id" title=${who(r)} href=${personHref(who(r))}>${r.traits?.name || who(r)}</a>` : '';
  if (column === 'place') return [r.city, r.country].filter(Boolean).join(', ');
  return r[column] ?? '';
}

// Rows come by EventSource, which goes on behind the last id by itself; where it gives up (the session is over, the
// server restarts), a new one is told the last id. At most four changes of the page a second, however many rows come,
// and fewer where drawing takes long: a quarter of the time at most, but every second at least.
function useFeed(query, paused) {
  const [state, setState] = useState({ rows: [], status: 'connecting', waiting: 0 });
  const held = useRef(paused);
  held.current = paused;
  useEffect(() => {
    let source;
    let last = '';
    let timer;
    let queue = [];
    let more = 0;
    let filled = false;           // an empty list does not rest
    setState({ rows: [], status: 'connecting', waiting: 0 });
    const open = () => {
      source = new EventSource(`/api/live?${query}${last ? `${query ? '&' : ''}after=${last}` : ''}`);
      source.onopen = () => setState((s) => ({ ...s, status: 'live' }));
      source.onmessage = (message) => {
        last = message.lastEventId;
        queue.push(message.data);
        more += 1;
        if (queue.length > 2 * ROWS) queue = queue.slice(-ROWS);
      };
      source.onerror = () => {
        setState((s) => ({ ...s, status: 'connecting again' }));
        if (source.readyState !== 2) return;
        clearTimeout(timer);
        timer = setTimeout(() => send('GET', '/api/live').then(open, () => { timer = setTimeout(open, 3000); }), 1500);
      };
    };
    open();
    let pause;
    const tick = () => {
      pause = setTimeout(tick, 250);
      if (!more) return;
      if (held.current && filled) { setState((s) => (s.waiting === more ? s : { ...s, waiting: more })); return; }
      const fresh = queue.splice(0).slice(-ROWS).map((text) => JSON.parse(text)).reverse();
      more = 0;
      filled = true;
      clearTimeout(pause);
      const begun = performance.now();
      setState((s) => ({ ...s, rows: [...fresh, ...s.rows].slice(0, ROWS), waiting: 0 }));
      pause = setTimeout(() => { pause = setTimeout(tick, Math.max(250, Math.min(1000, 3 * (performance.now() - begun)))); }, 0);
    };
    tick();
    return () => { source.close(); clearTimeout(pause); clearTimeout(timer); };
  }, [query]);
  return state;
}

function Details({ r, columns }) {
  const { properties, traits, ...rest } = r;
  const [raw, setRaw] = useState(false);
  return html`<tr><td colspan=${columns}><div class="row"><span class="grow"></span><button class="quiet" aria-pressed=${String(raw)} onClick=${() => setRaw(!raw)}>JSON</button></div>
    ${raw ? html`<pre class="code" tabindex="0" aria-label="JSON">${JSON.stringify(r, null, 2)}</pre>` : html`<div class="two">
      <div><h3>Properties</h3>${properties && Object.keys(properties).length ? html`<${Pairs} of=${properties} />` : html`<p class="soft">None of its own.</p>`}
        ${traits && Object.keys(traits).length > 0 && html`<br /><h3>Person</h3><${Pairs} of=${traits} />`}</div>
      <div><h3>Found out</h3><${Pairs} of=${Object.fromEntries(Object.entries(rest).map(([k, v]) => [words(k), v]))} /></div></div>`}</td></tr>`;
}

function Where({ add }) {
  const [field, setField] = useState('');
  const { names } = useNames(field ? { kind: 'values', prop: `$${field}` } : null);
  return html`<${Pick} clear=${!field} label="Filter by" value=${field} set=${setField} items=${FIELDS.map((f) => ({ name: f, words: words(f) }))} />
    ${field && html`is <${Pick} clear free label=${`Value of ${words(field)}`} value="" set=${(v) => { if (v) { add(field, v); setField(''); } }} items=${names.map((n) => ({ name: n.name, note: number(n.count) }))} />`}`;
}

export default function Live({ me, state, set }) {
  const { events = [], where = [], q = '', columns = COLUMNS } = state;
  const put = (part) => set(JSON.parse(JSON.stringify({ ...state, ...part })));
  const [open, setOpen] = useState('');
  const [over, setOver] = useState(false);
  const [paused, setPaused] = useState(false);
  const [choosing, setChoosing] = useState(false);
  const query = new URLSearchParams([...events.map((e) => ['event', e]), ...where.map(([f, v]) => ['where', `${f}:${v}`]), ...(q ? [['q', q]] : [])]).toString();
  const feed = useFeed(query, paused || over || !!open);
  useEffect(() => { setOver(false); setOpen(''); }, [query]);
  if (!me.live) return html`<${Title} title="Live View" /><${Empty} title="No feed"><p>The server was not told where enriched events are: start it with --bus.</p><//>`;
  const rests = paused || over || open;
  const status = feed.status !== 'live' ? feed.status : rests ? `resting${feed.waiting ? `, ${number(feed.waiting)} more came` : ''}` : 'live';
  return html`<${Title} title="Live View"><span role="status" class=${`badge ${feed.status !== 'live' ? 'warn' : rests ? '' : 'good'}`}>${status}</span>
      <button aria-pressed=${String(paused)} onClick=${() => setPaused(!paused)}>${paused ? 'Go on' : 'Pause'}</button>
      <button aria-expanded=${String(choosing)} onClick=${() => setChoosing(!choosing)}>Columns</button><//>
    ${choosing && html`<div class="card row" role="group" aria-label="Columns">${ALL.map((c) => html`<${Check} label=${words(c)} on=${columns.includes(c)}
      set=${(on) => put({ columns: on ? [...columns, c] : columns.filter((x) => x !== c) })} />`)}</div>`}
    <div class="row controls">${events.map((e) => html`<span class="chip">${e}<button class="icon" aria-label=${`Remove ${e}`} onClick=${() => put({ events: events.filter((x) => x !== e) })}>✕</button></span>`)}
      <${PickEvent} clear any=${false} label=${events.length ? 'or event' : 'Event'} value="" set=${(e) => e && !events.includes(e) && put({ events: [...events, e] })} />
      ${where.map(([f, v], i) => html`<span class="chip">${words(f)} is ${v}<button class="icon" aria-label=${`Remove ${words(f)}`} onClick=${() => put({ where: where.filter((_, k) => k !== i) })}>✕</button></span>`)}
      <${Where} add=${(f, v) => put({ where: [...where, [f, v]] })} />
      <${Entry} type="search" aria-label="Search in events" placeholder="Search" value=${q} set=${(text) => put({ q: text || undefined })} /></div>
    ${feed.rows.length ? html`<div class="card scroll" tabindex="0" role="region" aria-label="Events" onMouseEnter=${() => setOver(true)} onMouseLeave=${() => setOver(false)}><table><caption class="sr">The latest events, newest first</caption>
      <thead><tr><th scope="col">Event</th><th scope="col">Time</th>${columns.map((c) => html`<th scope="col">${words(c)}</th>`)}</tr></thead><tbody>
      ${feed.rows.map((r, i) => html`<tr key=${i}><th scope="row"><button class="cell" aria-expanded=${String(open === r.id)} onClick=${() => setOpen(open === r.id ? '' : r.id)}>${open === r.id ? '▾' : '▸'} ${r.event}</button></th>
        <td class="nowrap" title=${r.timestamp}>${clock(r.timestamp)}</td>${columns.map((c) => html`<td>${cell(r, c)}</td>`)}</tr>
        ${open === r.id && html`<${Details} key=${`${i}+`} r=${r} columns=${columns.length + 2} />`}`)}</tbody></table></div>
      <p class="soft small">The list rests while the pointer is over it or a row is open. IP geolocation by <a href="https://db-ip.com" rel="noreferrer">DB-IP</a>.</p>` :
    html`<${Empty} title=${query ? 'Nothing like that yet' : 'Waiting for the first event'}><p>Events show here within two seconds.${query ? ' Take a filter away to see others.' : ''}</p>
      ${!query && html`<a class="button" href="#/sources">How to send events</a>`}<//>`}`;
}
