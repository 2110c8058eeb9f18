// app.js - the frame: who is here, which page, its state in the address
import { html, render, useState, useEffect, useErrorBoundary, send, setMe, readAddress, writeAddress } from './api.js';
import { Desk, Dialog, Text } from './parts.js';

// A line per page: path, name, group, module (its default export is the page), icon (24 x 24, a stroke).
const PAGES = [
  ['/', 'Home', '', () => import('./home.js'), 'M4 11l8-7 8 7v9H4zM10 20v-6h4v6'],
  ['/segmentation', 'Segmentation', 'Understand', () => import('./segmentation.js'), 'M4 19l5-7 4 3 7-10M4 4v16h16'],
  ['/funnels', 'Funnels', 'Understand', () => import('./funnels.js'), 'M4 5v15M9 9v11M14 13v7M19 16v4'],
  ['/retention', 'Retention', 'Understand', () => import('./retention.js'), 'M4 12a8 8 0 108-8M12 8v4l3 2M4 5v5h5'],
  ['/live', 'Live View', 'Understand', () => import('./live.js'), 'M3 12h4l3-7 4 14 3-7h4'],
  ['/people', 'People', 'Understand', () => import('./people.js'), 'M9 11a4 4 0 100-8 4 4 0 000 8zM2 21c0-4 3-7 7-7s7 3 7 7M16 4a4 4 0 010 7M18 14c3 1 4 4 4 7'],
  ['/messages', 'Messages', 'Act', () => import('./messages.js'), 'M4 5h16v11H9l-5 4z'],
  ['/destinations', 'Destinations', 'Act', () => import('./destinations.js'), 'M4 12h13M12 6l6 6-6 6M21 4v16'],
  ['/sources', 'Sources', 'Set up', () => import('./sources.js'), 'M9 7l-5 5 5 5M15 7l5 5-5 5'],
  ['/health', 'Health', 'Set up', () => import('./health.js'), 'M12 20s-8-5-8-11a4 4 0 018-1 4 4 0 018 1c0 6-8 11-8 11z'],
];
const loaded = {};

function Icon({ d }) {
  return html`<svg width="18" height="18" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${d} /></svg>`;
}

function Login({ done }) {
  const [form, setForm] = useState({ name: '', password: '' });
  const [error, setError] = useState('');
  const submit = () => send('POST', '/api/login', form).then(done).catch((failure) => setError(failure.message));
  return html`<${Dialog} title="Log in to millrace" onSubmit=${submit} actions=${html`<button class="main">Log in</button>`}>
    <div class="stack"><${Text} label="Name" value=${form.name} set=${(name) => setForm({ ...form, name })} autocomplete="username" required />
      <${Text} label="Password" type="password" value=${form.password} set=${(password) => setForm({ ...form, password })}
        autocomplete="current-password" required />
      ${error && html`<p class="note bad" role="alert">${error}</p>`}</div><//>`;
}

// The page's module comes when it is first wanted.
function Page({ entry, address, me }) {
  const [path, name, , load] = entry;
  const [state, setState] = useState({});
  useEffect(() => {
    document.title = `${name} · millrace`;
    if (loaded[path]) return;
    load().then((module) => { loaded[path] = module.default; setState({}); })
      .catch((failure) => setState({ error: failure.message }));
  }, [path]);
  const [broken, mend] = useErrorBoundary();
  useEffect(() => { if (broken) mend(); }, [location.hash]);
  const Shown = loaded[path];
  if (broken) return html`<p class="note bad" role="alert">This address cannot be shown: ${broken.message} <a href=${`#${path}`}>Begin anew</a></p>`;
  if (state.error && !Shown) return html`<p class="note bad" role="alert">The page ${name} did not load: ${state.error}</p>`;
  if (!Shown) return html`<p class="wait" role="status">Loading…</p>`;
  return html`<${Shown} key=${path} me=${me} state=${address.state} set=${(next) => writeAddress(path, next)} />
    ${me.dbip && /live|people|health/.test(path) && html`<p class="soft small"><a href="https://db-ip.com">IP geolocation by DB-IP</a></p>`}`;
}

function Side({ address, me, leave }) {
  const [open, setOpen] = useState(false);
  const groups = [...new Set(PAGES.map((p) => p[2]))];
  useEffect(() => setOpen(false), [address.path]);
  return html`<header class=${`side ${open ? 'open' : ''}`}>
    <div class="bar"><a class="brand" href="#/"><${Icon} d="M3 7c3 0 3 3 6 3s3-3 6-3 3 3 6 3M3 14c3 0 3 3 6 3s3-3 6-3 3 3 6 3" />millrace</a>
      <button class="menu" aria-expanded=${String(open)} aria-controls="pages" onClick=${() => setOpen(!open)}>Menu</button></div>
    <nav id="pages" aria-label="Pages">${groups.map((group) => html`${group && html`<h2>${group}</h2>`}
      ${PAGES.filter((p) => p[2] === group).map(([path, name, , , icon]) => html`<a href=${`#${path}`}
        aria-current=${path === address.path ? 'page' : undefined}><${Icon} d=${icon} />${name}</a>`)}`)}</nav>
    ${me.login && html`<div class="who">${me.name} · ${me.role}<br /><button onClick=${leave}>Log out</button></div>`}</header>`;
}

function App() {
  const [me, setWho] = useState(null);
  const [error, setError] = useState('');
  const [address, setAddress] = useState(readAddress());
  const [wasIn, setWasIn] = useState(false);
  const load = () => send('GET', '/api/me').then((m) => {
    setMe(m);
    setWho(m);
    setError('');
    if (m.role !== 'none') { setWasIn(true); dispatchEvent(new Event('millrace:in')); }
  }).catch((failure) => setError(failure.message));
  useEffect(() => {
    load();
    const moved = () => setAddress((old) => { const now = readAddress(); return JSON.stringify(now) === JSON.stringify(old) ? old : now; });
    const out = () => setWho((old) => old && { ...old, role: 'none' });
    addEventListener('hashchange', moved);
    addEventListener('millrace:out', out);
    return () => { removeEventListener('hashchange', moved); removeEventListener('millrace:out', out); };
  }, []);
  if (error) return html`<main><p class="note bad" role="alert">${error} <button class="quiet" onClick=${load}>Try again</button></p></main>`;
  if (!me) return html`<p class="wait">Loading…</p>`;
  const entry = PAGES.find((p) => p[0] === address.path) || PAGES[0];
  const leave = () => send('POST', '/api/logout').then(() => { setWasIn(false); load(); });
  // Who was in stays on the page: its state is kept under the form, and goes on behind it.
  return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.querySelector('main')?.focus(); }}>To the content</a>
    ${(me.role !== 'none' || wasIn) && html`<div class="frame"><${Side} address=${address} me=${me} leave=${leave} />
      <main id="main" tabindex="-1"><${Page} entry=${entry} address=${address} me=${me} /></main></div>`}
    ${me.role === 'none' && html`<div><h1 class="sr">millrace</h1><${Login} done=${load} /></div>`}<${Desk} />`;
}

render(html`<${App} />`, document.getElementById('app'));
