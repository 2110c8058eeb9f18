// destinations.js - where events go: a switch each, forms from the tables of fields, tests, dead letters
import { html, useState, useGet, send, number, plural, ago, when, canEdit, personHref, hrefOf } from './api.js';
import { Title, State, Switch, Dialog, Text, Select, Check, Field, Table, Empty, toast, confirmed } from './parts.js';

const nameOf = (field) => (field.name[0].toUpperCase() + field.name.slice(1)).replace(/_/g, ' ');
const isOn = (value) => ![false, 'no', 'off', 'false', 0].includes(value?.enabled);

// A field's value as its input has it, and back: lists by commas, maps by lines.
const shown = (field, value) => (value === undefined || value === null ? '' : field.type === 'list' ? [].concat(value).join(', ') :
  field.type === 'map' ? Object.entries(value).map(([k, v]) => `${k}: ${v}`).join('\n') : value);
const typed = (field, text) => (field.type === 'list' ? text.split(',').map((t) => t.trim()).filter(Boolean) :
  field.type === 'map' ? Object.fromEntries(text.split('\n').map((l) => l.split(/:\s*(.*)/s)).filter(([k]) => k.trim()).map(([k, v]) => [k.trim(), v || ''])) : text);

// One input for a line of a table of fields. set(undefined): as it is by default.
export function Input({ field, value, set, error }) {
  const label = nameOf(field) + (field.required ? ' *' : '');
  const common = { label, error, hint: field.help };
  const fallback = field.default && field.default !== '0' ? field.default : '';
  if (field.type === 'flag') return html`<div class="field"><${Check} label=${nameOf(field)} set=${set}
    on=${value === undefined ? field.default === 'yes' : isOn({ enabled: value })} /><p class="hint">${field.help}</p></div>`;
  if (field.type === 'choice') return html`<${Select} ...${common} value=${value ?? field.default ?? ''} set=${set}
    options=${field.choices.split('|').map((c) => [c, c])} />`;
  if (field.type === 'secret') return html`<${Text} ...${common} type="password" autocomplete="new-password"
    value=${/^(file:|env:)/.test(value || '') || value === '$secret' ? '' : value} set=${(text) => set(text || undefined, true)}
    placeholder=${value && /^(file:|env:|\$secret)/.test(value) ? 'kept as it is' : ''} />`;
  if (field.type === 'map' || ['map', 'where', 'template', 'text', 'html'].includes(field.name)) {
    return html`<${Field} ...${common}><textarea rows="3" value=${shown(field, value)} onChange=${(e) => set(e.target.value ? typed(field, e.target.value) : undefined)} /><//>`;
  }
  return html`<${Text} ...${common} value=${shown(field, value)} placeholder=${fallback} required=${field.required}
    set=${(text) => set(text === '' ? undefined : field.type === 'list' ? text : /^\d+$/.test(text) && field.type === 'count' ? Number(text) : text)} />`;
}

// The words of a check begin with the field they are about.
export const wrongOf = (error, name) => (error.startsWith(`${name}: `) ? error.slice(name.length + 2) : error.startsWith(`${name} is`) ? error : undefined);

function Form({ kinds, name, value: was, close, done }) {
  const [own, setName] = useState(name || '');
  const [value, setValue] = useState(was || {});
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const kind = kinds.kinds.find((k) => k.type === value.type);
  if (!kind) {
    return html`<${Dialog} title="Where should events go?" close=${close} wide><div class="grid">${kinds.kinds.map((k) => html`
      <button class="card" style=${{ textAlign: 'left' }} onClick=${() => { setValue({ type: k.type }); setName(k.type); }}><span><b>${k.type}</b><br />
        <span class="soft small">${k.summary}</span></span></button>`)}</div><//>`;
  }
  const all = [...kind.fields, ...(kind.type === 'file' ? [] : kinds.common.filter((f) => !['type', 'enabled', 'from'].includes(f.name)))];
  const save = () => {
    const whole = { ...value };
    for (const f of all) if (f.type === 'list' && typeof whole[f.name] === 'string') whole[f.name] = typed(f, whole[f.name]);
    for (const key of Object.keys(whole)) if (whole[key] === undefined) delete whole[key];
    setBusy(true);
    send('PUT', `/api/files/destinations/${encodeURIComponent(own)}`, whole).then(() => done(own, whole))
      .catch((failure) => { setBusy(false); setError(failure.message); });
  };
  const input = (f) => html`<${Input} key=${f.name} field=${f} value=${value[f.name]} error=${wrongOf(error, f.name)}
    set=${(v, secret) => setValue({ ...value, [f.name]: secret && v === undefined ? was?.[f.name] : v })} />`;
  return html`<${Dialog} title=${name ? `${name}: ${kind.type}` : `New destination: ${kind.type}`} close=${close} onSubmit=${save} actions=${html`
      <button type="button" onClick=${close}>Cancel</button><button class="main" disabled=${busy}>${name ? 'Save' : 'Save and switch on'}</button>`}>
    <div class="stack"><p class="soft small">${kind.summary}</p>
      ${error && !all.some((f) => wrongOf(error, f.name)) && html`<p class="note bad" role="alert">${error}</p>`}
      ${!name && html`<${Text} label="Name *" value=${own} set=${setName} required pattern="\\w[\\w\\-]*" hint="Letters, digits, - and _." />`}
      ${all.slice(0, kind.fields.length).map(input)}
      ${all.length > kind.fields.length && html`<details open=${all.slice(kind.fields.length).some((f) => wrongOf(error, f.name))}>
        <summary>Which events, how fast, how often again</summary><div class="stack">${all.slice(kind.fields.length).map(input)}</div></details>`}</div><//>`;
}

function Letters({ name, on, close }) {
  const state = useGet(`/api/destinations/${name}/letters`);
  const [busy, setBusy] = useState(false);
  const again = () => {
    setBusy(true);
    send('POST', `/api/destinations/${name}/send`).then((a) => toast(a.ok ? 'Sent again: see below what became of it.' : a.words, !a.ok))
      .catch((failure) => toast(failure.message, true)).finally(() => { setBusy(false); state.again(); });
  };
  return html`<${Dialog} title=${`Dead letters of ${name}`} close=${close} wide><${State} state=${state}>${(a) => html`
    <div class="row"><span>${plural(a.total, 'event was', 'events were')} not taken; ${number(a.waiting)} not sent again yet.</span><span class="grow"></span>
      ${canEdit() && a.waiting > 0 && html`<button class="main" disabled=${busy || !on} onClick=${again}>${busy ? 'Sending…' : `Send again (${number(a.waiting)})`}</button>`}</div>
    ${!on && a.waiting > 0 && html`<p class="hint soft">Switch it on to send them again.</p>`}
    <div class="scroll"><${Table} label="Dead letters" rows=${a.letters} keyOf=${(l) => l.id} empty="None: everything was taken." columns=${[
      { name: 'Event', cell: (l) => l.event || '–' },
      { name: 'Person', cell: (l) => (l.person ? html`<a href=${personHref(l.person)}>${l.person}</a>` : '–') },
      { name: 'Why', cell: (l) => l.words }, { name: 'Tries', number: true, cell: (l) => number(l.attempts) },
      { name: 'When', cell: (l) => when(l.at) },
      { name: 'State', cell: (l) => html`<span class=${`badge ${l.again ? 'good' : 'warn'}`}>${l.again ? 'sent again' : 'waiting'}</span>` },
      { name: 'Trace', cell: (l) => html`<a href=${hrefOf('/health', { id: l.message_id })}>follow</a>` }]} /></div>`}<//><//>`;
}

const STATES = { delivering: ['good', 'delivering'], waiting: ['warn', 'waiting after a failure'], setup: ['bad', 'needs its settings mended'] };

function One({ file, status, ledger, open, reload }) {
  const { name, value } = file;
  const on = isOn(value);
  const [tested, setTested] = useState(null);
  const change = (verb) => send('POST', `/api/destinations/${name}/${verb}`)
    .then((a) => { if (!a.ok) toast(a.words, true); }).catch((e) => toast(e.message, true)).finally(reload);
  const test = () => {
    setTested({ words: 'Sending one made-up event…' });
    send('POST', `/api/destinations/${name}/test`).then(setTested).catch((e) => setTested({ ok: false, words: e.message }));
  };
  const remove = async () => {
    if (!await confirmed({ title: `Remove ${name}?`, words: 'Its settings and secrets are deleted. What was delivered stays where it is.', action: 'Remove' })) return;
    send('DELETE', `/api/files/destinations/${name}`).catch((e) => toast(e.message, true)).finally(reload);
  };
  if (!value) return html`<section class="card"><h2>${name}</h2><p class="note bad">${file.error}</p></section>`;
  const [tone, words] = !on ? ['', 'off'] : value.type === 'file' ? ['good', 'writing files'] : STATES[status?.state] || ['', 'starting'];
  return html`<section class="card stack" aria-label=${name}><div class="row">
      ${canEdit() ? html`<${Switch} label=${name} on=${on} set=${(next) => change(next ? 'enable' : 'disable')} />` : html`<b>${name}</b>`}
      <span class="grow"></span><span class=${`badge ${tone}`}>${words}</span></div>
    <div class="soft small">${value.type}${value.url ? ` · ${value.url}` : value.path ? ` · ${value.path}` : ''}</div>
    <dl class="pairs"><dt>Today</dt><dd>${ledger ? html`<b>${number(ledger.out)}</b> delivered${ledger.pending ? `, ${number(ledger.pending)} under way` : ''}` : '–'}</dd>
      ${ledger?.bad > 0 && html`<dt>Not taken</dt><dd class="bad">${plural(ledger.bad, 'event')}</dd>`}
      ${status?.words && html`<dt>Last error</dt><dd class="bad">${status.words} <span class="soft">${ago(status.failed_at)}</span></dd>`}</dl>
    ${tested && html`<p role="status" class=${`note ${tested.ok === undefined ? '' : tested.ok ? 'good' : 'bad'}`}>${tested.words}</p>`}
    <div class="row">${canEdit() && html`<button onClick=${() => open({ name, value })}>Edit</button>`}
      ${canEdit() && value.type !== 'file' && html`<button disabled=${!on} onClick=${test}>Test</button>`}
      ${value.type !== 'file' && html`<button onClick=${() => open({ letters: name, on })}>Dead letters</button>`}
      ${canEdit() && html`<span class="grow"></span><button class="quiet danger" aria-label=${`Remove ${name}`} onClick=${remove}>Remove</button>`}</div></section>`;
}

export default function Destinations() {
  const files = useGet('/api/files/destinations');
  const statuses = useGet('/api/statuses', 3000);
  const audit = useGet('/api/audit?last=1d', 10000);
  const kinds = useGet('/api/kinds');
  const [open, setOpen] = useState(null);
  const done = (name) => { setOpen(null); toast(`${name} is saved.`); files.again(); };
  const add = canEdit() && html`<button class="main" disabled=${!kinds.answer} onClick=${() => setOpen({})}>Add a destination</button>`;
  return html`<${Title} title="Destinations">${add}<//>
    <p class="soft">Each switched-on destination gets every event, from the moment it is added. Switching one off loses nothing: it goes on where it stopped.</p>
    <${State} state=${files}>${(a) => (a.files.length ? html`<div class="grid">${a.files.map((file) => html`<${One} key=${file.name} file=${file}
        status=${statuses.answer?.statuses[file.name]} open=${setOpen} reload=${files.again}
        ledger=${audit.answer?.stages.find((s) => s.stage === `sink:${file.name}`)} />`)}</div>` : html`
      <${Empty} title="Nowhere yet"><p>Events stay in millrace. Add a destination, and they go there as well.</p>${add}<//>`)}<//>
    ${open && !open.letters && html`<${Form} kinds=${kinds.answer} ...${open} close=${() => setOpen(null)} done=${done} />`}
    ${open?.letters && html`<${Letters} name=${open.letters} on=${open.on} close=${() => setOpen(null)} />`}`;
}
