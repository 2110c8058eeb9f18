// home.js - the board: saved reports as cards with small charts, in an order of one's own
import { html, useAsk, useGet, useState, number, percent, canEdit, hrefOf, plural } from './api.js';
import { Empty, Pick, State, Title, toast } from './parts.js';
import { COLOURS, Bars, Spark } from './chart.js';
import { eventWords, funnelOf, retentionOf, trendOf } from './query.js';
import { KINDS, openHref, setBoard, stateOf, titleOf, useReports } from './saved.js';

const peopleOf = ({ query }) => ({ ...(query ? { query } : {}), columns: [], limit: 1 });
const OF = { trend: trendOf, funnel: funnelOf, retention: retentionOf, people: peopleOf };

const amountWords = (m) => (m.measure === 'unique' ? `people${m.event === '*' ? '' : `, ${m.event}`}` : m.event === '*' ? 'events' : m.event);

function Small({ kind, answer: a, question }) {
  if (kind === 'people') return html`<p class="big">${number(a.total)}</p><p class="soft">${a.total === 1 ? 'person' : 'people'} now</p>`;
  if (kind === 'funnel') return html`<p class="big">${percent(a.steps.at(-1).share)}</p><${Bars} rows=${a.steps.map((s) => ({ name: eventWords(s.event), value: s.count }))} />`;
  if (kind === 'retention') return html`<p><span class="big">${percent(a.average[1])}</span> <span class="soft">back after a ${question.unit}</span></p>
    <${Spark} label="Who comes back, by time" lines=${[{ values: a.average }]} />`;
  const lines = a.series.slice(0, 6);
  if (!lines.length) return html`<p class="soft">Nothing happened in this time.</p>`;
  return html`${lines.length === 1 ? html`<p><span class="big">${number(lines[0].overall)}</span> <span class="soft">${amountWords(question.measures?.[0] || lines[0])}</span></p>` : ''}
    <${Spark} label="By time" lines=${lines.map((l, i) => ({ values: l.values, colour: lines.length > 1 ? COLOURS[i] : undefined }))} />
    ${lines.length > 1 && html`<div class="row small">${lines.map((l, i) => html`<span><span class="dot" style=${{ background: COLOURS[i] }}></span>${l.segment?.length ? l.segment.join(' / ') : l.event}</span>`)}</div>`}`;
}

function Card({ title, href, kind, state, children }) {
  const question = OF[kind](state);
  const answer = useAsk(kind, question, 30000);
  return html`<section class="card"><div class="row"><h2 class="grow"><a href=${href}>${title}</a></h2>${children}</div>
    <p class="soft small">${KINDS[kind][0]}${question?.last ? `, last ${question.last.n > 1 ? plural(question.last.n, question.last.unit) : question.last.unit}` : ''}</p>
    <${State} state=${question ? answer : { answer: true }}>${(a) => (question ? html`<${Small} kind=${kind} answer=${a} question=${a.asked} />` : html`<p class="soft">It has no step yet.</p>`)}<//></section>`;
}

const STARTERS = [['Events per day', 'trend', { measures: [{ event: '*', measure: 'total' }] }], ['People per day', 'trend', { measures: [{ event: '*', measure: 'unique' }] }],
  ['The most frequent events', 'trend', {}], ['Who comes back', 'retention', {}], ['Everybody', 'people', {}]];

// Before the first event there is nothing to look at but how to send one.
function Start({ children }) {
  const { answer } = useGet('/api/v1/status', 5000);
  return answer?.events === 0 ? html`<${Empty} title="Waiting for the first event"><p>Take a write key and a snippet for your site, app or server: what it sends shows within two seconds.</p>
    <a class="button main" href="#/sources">How to send events</a><//>` : children;
}

const FEW = 3;         // with fewer reports of one's own, the overview stays below
const Overview = () => html`<div class="grid">${STARTERS.map(([title, kind, state]) => html`<${Card} key=${title} title=${title} kind=${kind} state=${state} href=${hrefOf(KINDS[kind][1], state)} />`)}</div>`;

export default function Home() {
  const files = useReports(20000);
  const [busy, setBusy] = useState(false);
  const names = files.board || files.reports.map((f) => f.name);
  const cards = names.map((n) => files.reports.find((f) => f.name === n)).filter(Boolean);
  const others = files.reports.filter((f) => !names.includes(f.name));
  const put = (next) => { setBusy(true); setBoard(next).then(() => files.again()).catch((e) => toast(e.message, true)).finally(() => setBusy(false)); };
  const move = (i, by) => { const next = cards.map((f) => f.name); next.splice(i + by, 0, next.splice(i, 1)[0]); put(next); };
  const buttons = (f, i) => canEdit() && html`
    ${i > 0 && html`<button class="icon" disabled=${busy} aria-label=${`Move ${titleOf(f)} forward`} onClick=${() => move(i, -1)}>←</button>`}
    ${i < cards.length - 1 && html`<button class="icon" disabled=${busy} aria-label=${`Move ${titleOf(f)} back`} onClick=${() => move(i, 1)}>→</button>`}
    <button class="icon" disabled=${busy} aria-label=${`Take ${titleOf(f)} off Home`} onClick=${() => put(cards.map((x) => x.name).filter((n) => n !== f.name))}>✕</button>`;
  return html`<${Title} title="Home">${canEdit() && others.length > 0 && html`<${Pick} clear label="Add a saved report" value="" items=${others.map((f) => ({ name: f.name, words: titleOf(f) }))}
      set=${(name) => others.some((f) => f.name === name) && put([...cards.map((f) => f.name), name])} />`}
      <a class="button main" href="#/segmentation">New report</a><//>
    <${State} state=${files}>${() => (files.reports.length === 0 ? html`<${Start}><p class="soft">Reports that you save appear here. Until then, an overview:</p>
      <${Overview} /><//>` :
      html`${cards.length ? html`<div class="grid">${cards.map((f, i) => (OF[f.value?.kind] ? html`<${Card} key=${f.name} title=${titleOf(f)} kind=${f.value.kind} state=${stateOf(f)} href=${openHref(f)}>${buttons(f, i)}<//>` :
        html`<section class="card" key=${f.name}><div class="row"><h2 class="grow">${titleOf(f)}</h2>${buttons(f, i)}</div><p class="note bad">${f.error || `reports/${f.name}.yaml has no kind that is known here.`}</p></section>`))}</div>` :
      html`<${Empty} title="The board is empty"><p>Add a saved report above, or save a new one.</p><//>`}
      ${others.length > 0 && html`<div class="card"><h2>Not on the board</h2>${others.map((f) => html`<p><a href=${openHref(f)}>${titleOf(f)}</a> <span class="soft small">${KINDS[f.value?.kind]?.[0] || f.error || ''}</span></p>`)}</div>`}
      ${cards.length < FEW && html`<div class="row controls"><h2>Overview</h2></div><${Overview} />`}`)}<//>`;
}
