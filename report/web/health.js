// health.js - whether anything is lost or late: the ledger of each stage, and one event through all of them
import { html, useState, useGet, number, ago, when, duration, personHref } from './api.js';
import { Title, State, Table, Choices, Text } from './parts.js';

const WHAT = { collect: 'takes events in', enrich: 'adds what can be known', aggregate: 'counts for the reports' };
const SPANS = [['1h', 'Last hour'], ['1d', 'Last day'], ['7d', '7 days'], ['', 'Everything']];

const Verdict = ({ s }) => (s.holds ? s.pending && s.oldest && Date.now() - Date.parse(s.oldest) > 60000 ?
  html`<span class="badge warn">behind</span>` : html`<span class="badge good">adds up</span>` :
  html`<span class="badge bad">${s.lost ? `${number(s.lost)} lost` : `${number(s.extra)} too many`}</span>`);

function Ledger({ a }) {
  const column = (name, key) => ({ name, number: true, cell: (s) => number(s[key]) });
  return html`<div class="card scroll pinned" tabindex="0" role="region" aria-label="Ledger"><${Table} label="Ledger of each stage" rows=${a.stages} keyOf=${(s) => s.stage} columns=${[
    { name: 'Stage', cell: (s) => html`${s.stage.replace('sink:', 'to ')}<br /><span class="soft small">${WHAT[s.stage] || s.words || 'delivers'}</span>` },
    column('In', 'in'), column('Out', 'out'), column('Bad', 'bad'), column('Duplicate', 'duplicate'), column('Filtered', 'filtered'), column('Waiting', 'pending'),
    { name: 'Oldest waiting', number: true, cell: (s) => (s.oldest ? ago(s.oldest) : '–') },
    { name: 'Verdict', number: true, cell: (s) => html`<${Verdict} s=${s} />` }]} /></div>
    ${a.stages.filter((s) => s.words && (!s.holds || WHAT[s.stage])).map((s) => html`<p class="soft small"><b>${s.stage}</b>: ${s.words}</p>`)}`;
}

function Trace({ id }) {
  const state = useGet(`/api/trace?id=${encodeURIComponent(id)}`);
  const tone = (word) => `badge ${{ enriched: 'good', counted: 'good', delivered: 'good', done: 'good', 'sent again': 'good', bad: 'bad', 'dead letter': 'bad', pending: 'warn' }[word] || ''}`;
  const badge = (word) => html`<span class=${tone(word)}>${word}</span>`;
  return html`<${State} state=${state}>${(a) => (a.found ? html`<ol class="feed" aria-label="Its way">
    ${a.collected.map((c) => html`<li><b>collect</b> took it in ${when(c.at)}, a ${c.type} from ${c.source} ${badge(c.state)}
      ${' '}<span class="soft small">offset ${c.partition}-${c.offset}</span></li>`)}
    ${a.enriched.map((e) => html`<li><b>enrich</b> wrote ${e.event} of <a href=${personHref(e.person)}>${e.person}</a>${' '}
        <span class="soft small">offset ${e.partition}-${e.offset}</span></li>
      <li><b>aggregate</b> ${badge(e.aggregate)}</li>
      ${e.destinations.map((d) => html`<li><b>${d.name}</b> ${badge(d.state)} <span class="soft small">${d.file || ''}</span></li>`)}`)}
    ${a.bad.map((b) => html`<li class="bad"><b>${b.destination || b.stage}</b> did not take it: ${b.words} <span class="soft small">${b.reason}, ${when(b.at)}</span></li>`)}
    </ol>` : html`<p class="empty">No stage knows a message with this id.</p>`)}<//>`;
}

export default function Health({ state, set }) {
  const { last = '1h', id = '' } = state;
  const [text, setText] = useState(id);
  const audit = useGet(`/api/audit?last=${last}`, last === '1h' ? 5000 : 30000);
  const search = (e) => { e.preventDefault(); set({ ...state, id: text.trim() || undefined }); };
  return html`<${Title} title="Health"><${Choices} label="Time" value=${last} set=${(v) => set({ ...state, last: v })} options=${SPANS} /><//>
    <${State} state=${audit}>${(a) => {
      const oldest = a.stages.map((s) => s.oldest).filter(Boolean).sort()[0];
      const waiting = Math.max(...a.stages.map((s) => s.pending));
      return html`<div class="grid"><div class="card"><h2 class="small soft">Ledger</h2><p class=${`big ${a.holds ? 'good' : 'bad'}`}>${a.holds ? 'Nothing vanished' : 'Does not add up'}</p>
          <p class="soft small">At each stage: in = out + bad + duplicate + filtered + waiting.</p></div>
        <div class="card"><h2 class="small soft">Waiting</h2><p class="big">${number(waiting)}</p><p class="soft small">${oldest ? `events at the stage that is furthest behind; the oldest came ${
          duration(Date.now() - Date.parse(oldest))} ago` : 'Everything that came in has gone through.'}</p></div></div><${Ledger} a=${a} />`;
    }}<//>
    <section class="card"><h2>Where is one event?</h2><form class="row" style=${{ alignItems: 'end' }} onSubmit=${search}>
      <${Text} label="Message id" value=${text} set=${setText} /><button class="main">Find</button></form>
      ${id && html`<${Trace} key=${id} id=${id} />`}</section>`;
}
