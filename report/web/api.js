// api.js - questions to the server, the page's address as its state, numbers and times as people read them
import { h, render } from './preact.js';
import { useState, useEffect, useRef, useMemo, useErrorBoundary } from './hooks.js';
import htm from './htm.js';

export const html = htm.bind(h);
export { h, render, useState, useEffect, useRef, useMemo, useErrorBoundary };

// Who is here, of /api/me. Pages get it as `me`, too; buttons that change something ask canEdit().
let me = { role: 'none', csrf: '' };
export const setMe = (who) => { me = who; };
export const canEdit = () => me.role === 'editor';

async function fetched(method, path, body, signal, accept = 'application/json') {
  const answer = await fetch(path, {
    method, signal, headers: { 'Content-Type': 'application/json', 'X-Csrf-Token': me.csrf, Accept: accept },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch((error) => {
    throw error.name === 'AbortError' ? error : new Error('The server cannot be reached. Is it running, and is the network up?');
  });
  if (answer.ok) return answer;
  let error = { message: `The server answered ${answer.status}.` };
  try { error = JSON.parse(await answer.text()).error || error; } catch { /* no JSON: said above */ }
  // The session is over: app.js shows the log-in, and all that failed is asked again behind it.
  if (answer.status === 401 && path !== '/api/login') dispatchEvent(new Event('millrace:out'));
  throw Object.assign(new Error(error.message + (error.at ? ` (${error.at})` : '')), { status: answer.status });
}

// send('PUT', '/api/files/reports/x', {..}): the answer's JSON; throws an Error with words for people, and status.
export async function send(method, path, body, signal) {
  const text = await (await fetched(method, path, body, signal)).text();
  try { return JSON.parse(text); } catch { return {}; }
}

export const ask = (kind, question, signal) => send('POST', `/api/v1/query/${kind}`, question, signal);

export function download(blob, name) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// The answer to a question as a file that spreadsheets open.
export const saveCsv = async (kind, question, name) => download(await (await fetched('POST', `/api/v1/query/${kind}`,
  question, undefined, 'text/csv')).blob(), `${name}.csv`);

// { answer, error, busy, again } of what run(signal) promises. key: asked anew when it changes, null: not at all;
// every: and after so many ms. The answer before stays until the next is there.
export function useLoad(key, run, every = 0) {
  const [state, setState] = useState({ busy: true });
  const again = useRef(() => {});
  useEffect(() => {
    if (key === null) { setState({}); return undefined; }
    let abort = new AbortController();
    let timer;
    const go = () => {
      clearTimeout(timer);
      abort.abort();
      abort = new AbortController();
      const { signal } = abort;
      setState((old) => ({ ...old, busy: true }));
      run(signal).then((answer) => !signal.aborted && setState({ answer, again: go }))
        .catch((error) => error.name !== 'AbortError' && !signal.aborted &&
          setState((old) => ({ answer: error.status === 401 ? old.answer : undefined, error: error.status === 401 ? '' : error.message, status: error.status, again: go })))
        .finally(() => { if (every && !signal.aborted) timer = setTimeout(() => (document.hidden ? wait() : go()), every); });
    };
    const wait = () => { timer = setTimeout(() => (document.hidden ? wait() : go()), every); };
    again.current = go;
    go();
    addEventListener('millrace:in', go);
    return () => { abort.abort(); clearTimeout(timer); removeEventListener('millrace:in', go); };
  }, [key, every]);
  return { ...state, again: () => again.current() };
}

// answer.asked is its question: the page's own may have changed while the answer was on its way.
export const useAsk = (kind, question, every = 0) => useLoad(question ? kind + JSON.stringify(question) : null,
  async (signal) => { const answer = await ask(kind, question, signal); return Array.isArray(answer) ? answer : { ...answer, asked: JSON.parse(JSON.stringify(question)) }; }, every);
export const useGet = (path, every = 0) => useLoad(path, (signal) => send('GET', path, undefined, signal), every);

// State of a page lives in the address: #/funnels?{...}; so it can be sent to others, and back works.
export function readAddress() {
  let text = location.hash.slice(1) || location.pathname;
  try { text = decodeURIComponent(text); } catch { /* as it is */ }
  const [path, query] = text.split(/\?(.*)/s);
  let state;
  try { state = JSON.parse(query); } catch { /* no state */ }
  return { path, state: state && typeof state === 'object' && !Array.isArray(state) ? state : {} };
}

export const hrefOf = (path, state = {}) => `#${encodeURI(path + (Object.keys(state).length ? `?${JSON.stringify(state)}` : ''))
  .replace(/#/g, '%23')}`;

export function writeAddress(path, state) {
  const next = hrefOf(path, state);
  if (next === location.hash) return;
  location.hash = next;
  dispatchEvent(new Event('hashchange'));       // the browser's own comes late: a second change would not see the first
}

export const personHref = (id) => hrefOf('/people', { id });

// --- numbers and times ---

export const number = (value) => (value === null || value === undefined ? '–' :
  Number(value).toLocaleString('en', { maximumFractionDigits: 2 }));
export const percent = (value, digits = 1) => (value === null || value === undefined ? '–' : `${(100 * value).toFixed(digits)} %`);
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  const units = [['d', 86400000], ['h', 3600000], ['min', 60000], ['s', 1000]];
  const unit = units.find(([, size]) => ms >= size) || ['s', 1000];
  return `${(ms / unit[1]).toFixed(1).replace(/\.0$/, '')} ${unit[0]}`;
}

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
export const when = (text) => (text ? new Date(text).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' }) : '–');

// "2 min ago"
export function ago(text) {
  if (!text) return '–';
  const s = (Date.now() - Date.parse(text)) / 1000;
  return s < 5 ? 'just now' : `${duration(s * 1000).replace(/\.\d/, '')} ago`;
}
