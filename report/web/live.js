// live.js - the feed of incoming events
import { html, useEffect, useRef, useState } from './api.js';
import { Pick } from './query.js';

const ROWS = 200;

export default function Live({ state, set }) {
  const { event = '', q = '' } = state;
  const [rows, setRows] = useState([]);
  const [open, setOpen] = useState('');
  const [status, setStatus] = useState('connecting');
  const held = useRef(false);
  const waiting = useRef([]);
  useEffect(() => {
    const query = new URLSearchParams();
    if (event) query.append('event', event);
    if (q) query.append('q', q);
    setRows([]);
    waiting.current = [];
    const source = new EventSource(`/api/live?${query}`);
    source.onopen = () => setStatus('live');
    source.onerror = () => setStatus('connecting again');
    source.onmessage = (message) => { waiting.current.push(JSON.parse(message.data)); };
    // Many events a second become one change of the page.
    const timer = setInterval(() => {
      if (held.current || !waiting.current.length) return;
      const fresh = waiting.current.splice(0).reverse();
      setRows((old) => [...fresh, ...old].slice(0, ROWS));
    }, 250);
    return () => { source.close(); clearInterval(timer); };
  }, [event, q]);
  const who = (r) => r.user_id || r.anonymous_id || '';
  const place = (r) => [r.city, r.country].filter(Boolean).join(', ');
  return html`<h1>Live View</h1>
    <div class="row"><${Pick} label="Event" kind="events" value=${event} set=${(e) => set({ ...state, event: e })} />
      <input aria-label="Search in events" placeholder="Search" value=${q}
        onChange=${(e) => set({ ...state, q: e.target.value })} />
      <span class="soft" role="status">${status}; it rests while the pointer is over the list</span></div>
    ${!rows.length && html`<p class="empty">No events yet. They show here within two seconds.</p>`}
    <div class="card scroll" onMouseEnter=${() => { held.current = true; }}
      onMouseLeave=${() => { held.current = false; }}><table><thead><tr><th>Event</th><th>Time</th><th>Person</th>
      <th>Place</th><th>Browser</th><th>Referring domain</th></tr></thead><tbody>
      ${rows.map((r) => html`<tr key=${r.id}><td><button aria-expanded=${open === r.id}
          onClick=${() => setOpen(open === r.id ? '' : r.id)}>${r.event}</button></td>
        <td>${new Date(r.timestamp).toLocaleTimeString()}</td>
        <td><a href=${`#/people?${encodeURIComponent(JSON.stringify({ id: who(r) }))}`}>${who(r)}</a></td>
        <td>${place(r)}</td><td>${r.browser}</td><td>${r.referring_domain}</td></tr>
        ${open === r.id && html`<tr><td colspan="6"><pre>${JSON.stringify(r, null, 1)}</pre></td></tr>`}`)}
    </tbody></table></div>`;
}
