// messages.js - a saved query that writes to people: triggers, templates, previews, what was sent
import { html, useState, useGet, useAsk, send, number, plural, when, ago, canEdit, personHref } from './api.js';
import { Title, State, Switch, Dialog, Text, Select, Choices, Pick, Table, Empty, toast, confirmed } from './parts.js';
import { Input, wrongOf } from './destinations.js';

const WHEN = { enter: 'When a person comes to match', exit: 'When a person no longer matches', schedule: 'At set times, to all who match' };
const FIRST = ['to', 'url', 'subject', 'text', 'html', 'secret', 'unsubscribe'];
const isOff = (value) => [false, 'no', 'off', 'false', 0].includes(value?.enabled);

function Form({ table, queries, name, value: was, close, done }) {
  const [own, setName] = useState(name || '');
  const [value, setValue] = useState(was || { on: 'enter', channel: 'email' });
  const [last, setLast] = useState('text');
  const [error, setError] = useState('');
  const names = useAsk('names', { kind: 'properties', of: 'profile', limit: 100 });
  const channel = table.channels.find((c) => c.channel === value.channel) || table.channels[0];
  const later = table.common.filter((f) => !['enabled', 'query', 'on', 'channel'].includes(f.name));
  const rest = channel.fields.filter((f) => !FIRST.includes(f.name) && !f.required);
  const put = (key, v) => setValue({ ...value, [key]: v });
  const input = (f) => html`<div onFocusIn=${() => ['subject', 'text', 'html'].includes(f.name) && setLast(f.name)}>
    <${Input} key=${f.name} field=${f} value=${value[f.name]} error=${wrongOf(error, f.name)}
      set=${(v, secret) => put(f.name, secret && v === undefined ? was?.[f.name] : v)} /></div>`;
  const save = () => {
    const known = ['enabled', 'query', 'on', 'channel', ...later.map((f) => f.name), ...channel.fields.map((f) => f.name)];
    const whole = Object.fromEntries(Object.entries(value).filter(([k, v]) => known.includes(k) && v !== undefined));
    send('PUT', `/api/files/triggers/${encodeURIComponent(own)}`, name ? whole : { ...whole, enabled: false })
      .then(() => done(own, !name)).catch((e) => setError(e.message));
  };
  return html`<${Dialog} title=${name ? `Message ${name}` : 'New message'} close=${close} onSubmit=${save} wide actions=${html`
      <button type="button" onClick=${close}>Cancel</button><button class="main">${name ? 'Save' : 'Save, switched off'}</button>`}>
    <div class="stack">${error && ![...later, ...channel.fields].some((f) => wrongOf(error, f.name)) && html`<p class="note bad" role="alert">${error}</p>`}
      ${!name && html`<${Text} label="Name *" value=${own} set=${setName} required pattern="\\w[\\w\\-]*" hint="Letters, digits, - and _." />`}
      <${Select} label="Saved query *" value=${value.query || ''} set=${(q) => put('query', q)} required
        hint=${queries.length ? '' : 'There is none yet: make one on the page People, and save it.'} options=${[['', 'Choose…'], ...queries.map((q) => [q, q])]} />
      <${Select} label="When" value=${value.on || 'enter'} set=${(on) => put('on', on)} options=${Object.entries(WHEN)} />
      <div class="row"><${Choices} label="Channel" value=${channel.channel} set=${(c) => put('channel', c)} options=${table.channels.map((c) => c.channel)} />
        <span class="soft small">${channel.summary}</span></div>
      ${[...channel.fields.filter((f) => f.required && !FIRST.includes(f.name)), ...FIRST.map((n) => channel.fields.find((f) => f.name === n)).filter(Boolean)].map(input)}
      ${channel.fields.some((f) => f.name === 'text') && html`<div class="row"><span class="soft">Put in a property of the person:</span>
        <${Pick} label="Property" clear items=${(names.answer?.names || []).map((n) => ({ name: n.name, note: number(n.count) }))}
          set=${(n) => put(last, `${value[last] || ''}{{ ${/^\w+$/.test(n) ? n : `profile["${n}"]`} | default: "" }}`)} /></div>`}
      <details open=${later.some((f) => wrongOf(error, f.name))}><summary>How often, quiet hours, limits</summary><div class="stack">${later.map(input)}</div></details>
      ${rest.length > 0 && html`<details open=${rest.some((f) => wrongOf(error, f.name))}><summary>How it is sent</summary><div class="stack">${rest.map(input)}</div></details>`}</div><//>`;
}

function Preview({ name, value, close }) {
  const [person, setPerson] = useState('');
  const [address, setAddress] = useState('');
  const [said, setSaid] = useState(null);
  const people = useAsk('people', { limit: 50 });
  const state = useGet(`/api/triggers/${name}/preview?person=${encodeURIComponent(person)}`);
  const test = (e) => {
    e.preventDefault();
    setSaid({ words: 'Sending…' });
    send('POST', `/api/triggers/${name}/test`, { address, person }).then(setSaid).catch((f) => setSaid({ ok: false, words: f.message }));
  };
  return html`<${Dialog} title=${`What ${name} sends`} close=${close} wide><div class="stack">
    <div class="row">To <${Pick} label="Person" free value=${person} set=${setPerson} busy=${people.busy}
      items=${(people.answer?.people || []).map((p) => ({ name: p.id, note: p.traits?.email || '' }))} />
      <span class="soft small">${person ? '' : 'whoever came last, or somebody made up'}</span></div>
    <${State} state=${state}>${(a) => html`<pre class=${a.ok ? 'code' : 'note bad'} tabindex="0" aria-label="Preview">${a.words}</pre>`}<//>
    ${canEdit() && html`<form class="row" style=${{ alignItems: 'end' }} onSubmit=${test}>
      ${value.channel === 'email' && html`<${Text} label="Send a test to" value=${address} set=${setAddress} required placeholder="you@example.com" />`}<button>Send the test</button></form>`}
    ${said && html`<p role="status" class=${`note ${said.ok === false ? 'bad' : ''}`}>${said.words || 'Sent.'}</p>`}</div><//>`;
}

const TONE = { sent: 'good', reported: 'good', dry: 'good', failed: 'bad', unknown: 'warn', retry: 'warn', queued: '', skipped: '' };

function Log({ name, close }) {
  const state = useGet(`/api/triggers/${name}/log`, 5000);
  return html`<${Dialog} title=${`What ${name} sent`} close=${close} wide><${State} state=${state}>${(a) => {
    // The newest line of a key says what is; that an outcome was reported tells nothing new.
    const newest = new Map();
    a.lines.filter((l) => l.key && l.what !== 'reported').sort((x, y) => (x.at < y.at ? -1 : 1)).forEach((l) => newest.set(l.key, { ...newest.get(l.key), ...l }));
    return html`<div class="scroll"><${Table} label="Messages" rows=${[...newest.values()].reverse()} keyOf=${(l) => l.key} empty="Nothing yet." columns=${[
      { name: 'Person', cell: (l) => (l.person ? html`<a href=${personHref(l.person)}>${l.person}</a>` : '–') },
      { name: 'To', cell: (l) => l.to || '' }, { name: 'What', cell: (l) => html`<span class=${`badge ${TONE[l.what] || ''}`}>${l.what}</span>` },
      { name: 'When', cell: (l) => when(l.at) }, { name: 'Words', cell: (l) => l.words || l.subject || '' }]} /></div>`;
  }}<//><//>`;
}

function One({ file, status, open, reload }) {
  const { name, value } = file;
  if (!value) return html`<section class="card"><h2>${name}</h2><p class="note bad">${file.error}</p></section>`;
  const turn = (on) => send('POST', `/api/triggers/${name}/${on ? 'enable' : 'disable'}`)
    .then((a) => { if (!a.ok) toast(a.words, true); }).catch((e) => toast(e.message, true)).finally(reload);
  const remove = async () => {
    if (await confirmed({ title: `Remove ${name}?`, words: 'It sends nothing more. Its log stays on the disk.', action: 'Remove' })) {
      send('DELETE', `/api/files/triggers/${name}`).catch((e) => toast(e.message, true)).finally(reload);
    }
  };
  const off = isOff(value);
  return html`<section class="card stack" aria-label=${name}><div class="row">
      ${canEdit() ? html`<${Switch} label=${name} on=${!off} set=${turn} />` : html`<b>${name}</b>`}<span class="grow"></span>
      <span class=${`badge ${off ? '' : status?.state === 'setup' ? 'bad' : 'good'}`}>${off ? 'off' : value.dry_run === true || value.dry_run === 'yes' ? 'dry run' : status?.state || 'starting'}</span></div>
    <div>${WHEN[value.on || 'enter']} <b>${value.query}</b>: ${value.channel}${value.subject ? html` “${value.subject}”` : ''}</div>
    ${status && html`<div><b>${number(status.sent)}</b> sent${status.queued ? `, ${number(status.queued)} waiting` : ''}${
      status.failed ? html`, <span class="bad">${number(status.failed)} failed</span>` : ''}${status.skipped ? `, ${number(status.skipped)} left out` : ''}${
      status.dry ? `, ${number(status.dry)} dry` : ''}${status.unknown ? `, ${number(status.unknown)} unknown` : ''}${
      status.held_out ? `, ${number(status.held_out)} held out` : ''} <span class="soft small">${ago(status.at)}</span></div>`}
    ${!off && status?.words && html`<p class="bad small">${status.words}</p>`}
    <div class="row">${canEdit() && html`<button onClick=${() => open({ edit: true, name, value })}>Edit</button>`}
      <button onClick=${() => open({ preview: true, name, value })}>Preview</button><button onClick=${() => open({ log: true, name })}>Log</button>
      ${canEdit() && html`<span class="grow"></span><button class="quiet danger" aria-label=${`Remove ${name}`} onClick=${remove}>Remove</button>`}</div></section>`;
}

export default function Messages() {
  const files = useGet('/api/files/triggers');
  const statuses = useGet('/api/statuses', 3000);
  const table = useGet('/api/triggers');
  const reports = useGet('/api/files/reports');
  const [open, setOpen] = useState(null);
  const close = () => setOpen(null);
  const queries = (reports.answer?.files || []).filter((f) => f.value?.kind === 'people').map((f) => f.name);
  const done = (name, isNew) => { close(); toast(isNew ? `${name} is saved. Look at it with Preview, then switch it on.` : `${name} is saved.`); files.again(); };
  const add = canEdit() && html`<button class="main" disabled=${!table.answer} onClick=${() => setOpen({ edit: true })}>New message</button>`;
  return html`<${Title} title="Messages">${add}<//>
    <p class="soft">When somebody comes to match a saved query, they, or you, get a message. Each person gets it once, unless you say otherwise.</p>
    ${table.error && html`<p class="note bad" role="alert">Messages cannot be made: ${table.error}</p>`}
    <${State} state=${files}>${(a) => (a.files.length ? html`<div class="grid">${a.files.map((file) => html`<${One} key=${file.name} file=${file}
      status=${statuses.answer?.messages?.[file.name]} open=${setOpen} reload=${files.again} />`)}</div>` : html`<${Empty} title="No messages yet">
      <p>Save a query on the page People, such as “bought at least 3 times in the last 30 days”, and write to whoever comes to match it.</p>${add}<//>`)}<//>
    ${open?.edit && html`<${Form} table=${table.answer} queries=${queries} ...${open} close=${close} done=${done} />`}
    ${open?.preview && html`<${Preview} ...${open} close=${close} />`}${open?.log && html`<${Log} ...${open} close=${close} />`}`;
}
