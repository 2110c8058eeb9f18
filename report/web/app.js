// app.js - the frame: who is here, which page, its state in the address
import { html, render, useState, useEffect, send, setCsrf, readAddress, writeAddress } from './api.js';
import { Segmentation } from './segmentation.js';
import { Live } from './live.js';
import { Funnels } from './funnels.js';
import { People } from './people.js';

const PAGES = { '/': ['Segmentation', Segmentation], '/live': ['Live View', Live], '/funnels': ['Funnels', Funnels],
  '/people': ['People', People] };

function Login({ done }) {
  const [error, setError] = useState('');
  const submit = (e) => {
    e.preventDefault();
    const form = new FormData(e.target);
    send('POST', '/api/login', { name: form.get('name'), password: form.get('password') })
      .then(done).catch((failure) => setError(failure.message));
  };
  return html`<main><h1>Log in</h1><form class="card" onSubmit=${submit}>
    <p><label>Name <input name="name" autocomplete="username" required /></label></p>
    <p><label>Password <input name="password" type="password" autocomplete="current-password" required /></label></p>
    ${error && html`<p class="error" role="alert">${error}</p>`}<button class="main">Log in</button></form></main>`;
}

function App() {
  const [me, setMe] = useState(null);
  const [error, setError] = useState('');
  const [address, setAddress] = useState(readAddress());
  const load = () => send('GET', '/api/me').then((m) => { setCsrf(m.csrf); setMe(m); })
    .catch((failure) => setError(failure.message));
  useEffect(() => {
    load();
    const moved = () => setAddress(readAddress());
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  if (error) return html`<p class="error" role="alert">${error}</p>`;
  if (!me) return html`<p class="empty">Loading…</p>`;
  if (me.role === 'none') return html`<${Login} done=${load} />`;
  const [, Page] = PAGES[address.path] || PAGES['/'];
  return html`<header><strong>millrace</strong><nav aria-label="Pages">${Object.entries(PAGES).map(([path, [name]]) => html`
      <a href=${`#${path}`} aria-current=${path === address.path ? 'page' : undefined}>${name}</a>`)}</nav>
      ${me.login && html`<button onClick=${() => send('POST', '/api/logout').then(load)}>Log out ${me.name}</button>`}</header>
    <main><${Page} key=${address.path} state=${address.state}
      set=${(state) => writeAddress(address.path, state)} /></main>`;
}

render(html`<${App} />`, document.getElementById('app'));
