// parts.js - what pages are put together from: fields, choices, menus, switches, dialogs, tables, toasts, states
import { html, useEffect, useRef, useState, number } from './api.js';

let serial = 0;
export const useId = (what = 'id') => {
  const id = useRef('');
  if (!id.current) { serial += 1; id.current = `${what}-${serial}`; }
  return id.current;
};

// --- forms: <Text label=.. value=.. set=${(text) => ..} hint=.. error=.. /> and so on ---

// A control (an input, a select: the child) with its name above, a hint and what is wrong below.
export function Field({ label, hint, error, children }) {
  return html`<div class="field"><label><span class="name">${label}</span>${children}</label>
    ${hint && html`<p class="hint">${hint}</p>`}${error && html`<p class="wrong" role="alert">${error}</p>`}</div>`;
}

export const Text = ({ label, value, set, hint, error, type = 'text', ...more }) => html`
  <${Field} label=${label} hint=${hint} error=${error}><input type=${type} value=${value ?? ''}
    onInput=${(e) => set(e.target.value)} ...${more} /><//>`;

// A field that keeps what is typed, however often the page is drawn: set() gets it after a rest, by Enter, or on leaving;
// what its bounds do not allow is not taken, and said.
export function Entry({ value, set, ...more }) {
  const [draft, setDraft] = useState(null);
  const [wrong, setWrong] = useState('');
  const timer = useRef();
  const latest = useRef();
  latest.current = set;
  useEffect(() => () => clearTimeout(timer.current), []);
  const give = ({ target: box }) => {
    clearTimeout(timer.current);
    setWrong(box.validationMessage);
    if (box.validity.valid) latest.current(more.type === 'number' && box.value ? Number(box.value) : box.value);
  };
  return html`<input value=${draft ?? value ?? ''} onInput=${(e) => { setDraft(e.target.value); clearTimeout(timer.current); timer.current = setTimeout(give, 300, e); }}
    onChange=${give} onBlur=${(e) => e.target.validity.valid && setDraft(null)} ...${more} />${wrong && html`<span class="bad small" role="alert">${wrong}</span>`}`;
}

// options: [[value, words]..] or words..; bare: the label is for screen readers only.
export function Select({ label, value, set, options, bare, hint, error, ...more }) {
  const select = html`<select aria-label=${bare ? label : undefined} value=${value}
    onChange=${(e) => set(e.target.value)} ...${more}>
    ${options.map((o) => (Array.isArray(o) ? o : [o, o])).map(([v, words]) => html`
      <option value=${v} selected=${String(v) === String(value)}>${words}</option>`)}</select>`;
  return bare ? select : html`<${Field} label=${label} hint=${hint} error=${error}>${select}<//>`;
}

export const Check = ({ label, on, set, ...more }) => html`<label><input type="checkbox" checked=${on}
  onChange=${(e) => set(e.target.checked)} ...${more} />${label}</label>`;

// A few choices of which one is on, side by side.
export const Choices = ({ label, value, set, options }) => html`<span class="choices" role="group" aria-label=${label}>
  ${options.map((o) => (Array.isArray(o) ? o : [o, o])).map(([v, words]) => html`
    <button type="button" aria-pressed=${String(v === value)} onClick=${() => set(v)}>${words}</button>`)}</span>`;

export const Switch = ({ label, on, set, bare, ...more }) => html`<button type="button" class="switch" role="switch"
  aria-checked=${String(!!on)} aria-label=${bare ? label : undefined} onClick=${() => set(!on)} ...${more}><i></i>${bare ? '' : label}</button>`;

// A text field with a searchable menu. items: [{name, words, note}]; name is what set() gets.
// opened: called when it gets the focus; focus: it has it from the start; free: any text may be entered; clear: the field empties after a choice (to add to a list).
export function Pick({ label, value = '', set, items, search, opened, free, clear, busy, focus }) {
  const [text, setText] = useState(null);
  const [at, setAt] = useState(-1);
  const id = useId('pick');
  const list = useRef();
  const box = useRef();
  useEffect(() => { if (focus) box.current.focus(); }, []);
  const open = text !== null;
  const low = (text || '').toLowerCase();
  const words = (item) => item.words ?? String(item.name);
  const shown = open ? items.filter((i) => !low || words(i).toLowerCase().includes(low)).slice(0, 100) : [];
  const current = items.find((i) => i.name === value);
  useEffect(() => { list.current?.children[at]?.scrollIntoView({ block: 'nearest' }); }, [at]);
  const choose = (name) => { setText(clear ? '' : null); setAt(-1); if (clear) setText(null); set(name); };
  const leave = () => {
    if (!open) return;
    const exact = items.find((i) => words(i) === text);
    if (text && exact) choose(exact.name);
    else if (free && text !== '' && text !== String(value)) choose(text);
    else { setText(null); setAt(-1); }
  };
  const key = (e) => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      if (!open) setText('');
      else setAt(Math.max(0, Math.min(shown.length - 1, at + (e.key === 'ArrowDown' ? 1 : -1))));
    } else if (e.key === 'Enter' && open) {
      e.preventDefault();
      if (shown[at]) choose(shown[at].name);
      else if (free && text) choose(text);
      else if (shown.length && text) choose(shown[0].name);
    } else if (e.key === 'Escape' && open) {
      e.stopPropagation();
      e.preventDefault();
      setText(null);
      setAt(-1);
    }
  };
  const type = (e) => { setText(e.target.value); setAt(e.target.value ? 0 : -1); if (search) search(e.target.value); };
  return html`<span class="pick"><input ref=${box} role="combobox" aria-label=${label} placeholder=${label} autocomplete="off"
      aria-expanded=${String(open)} aria-controls=${id} aria-autocomplete="list"
      aria-activedescendant=${open && shown[at] ? `${id}-${at}` : undefined}
      value=${open ? text : clear ? '' : current ? words(current) : value}
      onFocus=${(e) => { e.target.select(); opened?.(); }} onClick=${() => open || setText('')} onInput=${type} onKeyDown=${key} onBlur=${leave} />
    ${open && html`<ul id=${id} role="listbox" aria-label=${label} ref=${list} onMouseDown=${(e) => e.preventDefault()}>
      ${shown.map((i, k) => html`<li id=${`${id}-${k}`} role="option" aria-selected=${String(k === at)}
        onClick=${() => choose(i.name)}><span>${words(i)}</span><span>${i.note ?? ''}</span></li>`)}
      ${!shown.length && html`<li class="none" role="option" aria-selected="false" aria-disabled="true">${busy ? 'Loading…' :
        free && text ? `Enter takes “${text}”` : 'Nothing found'}</li>`}</ul>`}</span>`;
}

// --- on top of the page ---

// close: called on Esc and ×. actions: buttons of the footer. wide: for tables.
export function Dialog({ title, close, children, actions, wide, onSubmit }) {
  const place = useRef();
  const id = useId('dialog');
  useEffect(() => {
    const from = document.activeElement;
    place.current.showModal();
    place.current.querySelector('.body :is(input, select, textarea), footer button:enabled')?.focus();
    return () => from?.isConnected && from.focus();
  }, []);
  const inside = html`<header><h2 id=${id}>${title}</h2>${close && html`
      <button type="button" class="icon" aria-label="Close" onClick=${close}>✕</button>`}</header>
    <div class="body">${children}</div>${actions && html`<footer>${actions}</footer>`}`;
  return html`<dialog ref=${place} class=${wide ? 'wide' : ''} aria-labelledby=${id}
    onCancel=${(e) => { e.preventDefault(); close?.(); }}>
    ${onSubmit ? html`<form onSubmit=${(e) => { e.preventDefault(); onSubmit(); }}>${inside}</form>` : inside}</dialog>`;
}

const desk = { toasts: [], question: null, draw: () => {} };

// A short message at the corner, for some seconds. bad: it stays longer.
export function toast(words, bad) {
  const one = { words, id: `${Date.now()}-${desk.toasts.length}` };
  desk.toasts = [...desk.toasts, one];
  desk.draw();
  setTimeout(() => { desk.toasts = desk.toasts.filter((t) => t !== one); desk.draw(); }, bad ? 9000 : 4000);
}

// Asks before something that cannot be undone: if (await confirmed({ title, words, action: 'Delete' })) ..
export const confirmed = (question) => new Promise((resolve) => {
  desk.question = { ...question, answer: (yes) => { desk.question = null; desk.draw(); resolve(yes); } };
  desk.draw();
});

// Where both show: once, in app.js.
export function Desk() {
  const [, draw] = useState(0);
  desk.draw = () => draw((n) => n + 1);
  const q = desk.question;
  return html`<div class="toasts" role="status" aria-live="polite">${desk.toasts.map((t) => html`<p key=${t.id}>${t.words}</p>`)}</div>
    ${q && html`<${Dialog} title=${q.title} close=${() => q.answer(false)} actions=${html`
      <button onClick=${() => q.answer(false)}>Cancel</button>
      <button class="main" onClick=${() => q.answer(true)}>${q.action || 'Go on'}</button>`}><p>${q.words}</p><//>`}`;
}

// --- tables and states ---

// columns: [{ name, cell: (row) => .., number, sort: (row) => value }]. Sorted by a click on the name.
export function Table({ label, columns, rows, keyOf, empty, head }) {
  const [by, setBy] = useState(null);
  const column = by && columns[by.at];
  const sorted = column?.sort ? [...rows].sort((a, b) => {
    const [x, y] = [column.sort(a), column.sort(b)];
    const order = (x ?? -Infinity) < (y ?? -Infinity) ? -1 : (x ?? -Infinity) > (y ?? -Infinity) ? 1 : 0;
    return by.down ? -order : order;
  }) : rows;
  const turn = (at, c) => setBy(by?.at === at ? { at, down: !by.down } : { at, down: !!c.number });
  return html`<table><caption class="sr">${label}</caption><thead><tr>${columns.map((c, i) => html`
      <th scope="col" class=${c.number ? 'number' : ''} aria-sort=${by?.at === i ? (by.down ? 'descending' : 'ascending') : undefined}>
      ${c.sort ? html`<button onClick=${() => turn(i, c)}>${c.name}${by?.at === i ? (by.down ? ' ↓' : ' ↑') : ''}</button>` : c.name}</th>`)}</tr></thead>
    <tbody>${head}${sorted.map((row, k) => html`<tr key=${keyOf ? keyOf(row) : k}>${columns.map((c, i) => (i === 0 ?
      html`<th scope="row">${c.cell(row)}</th>` : html`<td class=${c.number ? 'number' : ''}>${c.cell(row)}</td>`))}</tr>`)}
    ${!rows.length && html`<tr><td colspan=${columns.length} class="soft">${empty || 'Nothing here yet.'}</td></tr>`}</tbody></table>`;
}

export const Empty = ({ title, children }) => html`<div class="card empty"><h2>${title}</h2>${children}</div>`;

// The states of a question: loading, error, the answer. state: of useAsk or useGet; children: (answer) => ..
export const State = ({ state, children, retry = true }) => html`
  ${state.error && html`<div class="note bad" role="alert">${state.error}${retry && state.again ? html`
    <button class="quiet" onClick=${state.again}>Try again</button>` : ''}</div>`}
  ${!state.error && !state.answer && html`<p class="wait" role="status">Loading…</p>`}
  ${state.answer && html`<div aria-busy=${String(!!state.busy)}>${children(state.answer)}</div>`}`;

// Text to take along: a snippet with a button.
export function Code({ text, label = 'Code' }) {
  const copy = () => navigator.clipboard.writeText(text).then(() => toast('Copied.'), () => toast('The browser did not allow it: select the text instead.', true));
  return html`<div><pre class="code" tabindex="0" aria-label=${label}>${text}</pre>
    <button class="quiet" type="button" onClick=${copy}>Copy</button></div>`;
}

export const Title = ({ title, children }) => html`<div class="top"><h1>${title}</h1><span class="grow"></span>${children}</div>`;

export const Pairs = ({ of }) => html`<dl class="pairs">${Object.entries(of).map(([k, v]) => html`<dt>${k}</dt>
  <dd>${typeof v === 'string' ? v : typeof v === 'number' ? number(v) : JSON.stringify(v)}</dd>`)}</dl>`;
