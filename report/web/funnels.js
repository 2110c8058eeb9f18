// funnels.js - which share of people goes through events in order, where they get lost, how long it takes
import { html, useAsk, useState, number, percent, duration, saveCsv, plural } from './api.js';
import { Empty, Entry, Select, State, Table, Title, toast } from './parts.js';
import { Filters, Freshness, Nothing, PickEvent, PickProp, Range, bucketWords, eventWords, propWords, funnelOf } from './query.js';
import { Bars, COLOURS, Lines } from './chart.js';
import { Saved, useReports } from './saved.js';
import { Who } from './who.js';

const ORDERS = { ordered: 'in this order', any: 'in any order', strict: 'in this order, nothing between' };
const COUNTS = { best: 'people, their best try', first: 'people, their first try', totals: 'tries', sessions: 'tries within a session' };
const ATTRIBUTIONS = { first: 'the first value', last: 'the last value', first_step: 'the value at the first step', last_step: 'the value at the last step', each: 'each value' };
const UNITS = ['minute', 'hour', 'day', 'week', 'month'];

function Builder({ state, put }) {
  const cohorts = useReports().reports.filter((f) => f.value?.kind === 'people');
  const { steps = [], window = { n: 7, unit: 'day' }, order = 'ordered', count = 'best', breakdown } = state;
  const change = (i, s) => put({ steps: steps.map((x, k) => (k === i ? s : x)) });
  const move = (i, by) => { const next = [...steps]; next.splice(i + by, 0, next.splice(i, 1)[0]); put({ steps: next }); };
  return html`<div class="card stack">
    ${steps.map((s, i) => html`<div class="step" key=${i}><span class="letter">${i + 1}</span>
        ${s.any_of ? html`<span class="chip plain">${s.any_of.map((e) => e.event).join(' or ')}</span>` :
        html`<${PickEvent} label=${`Step ${i + 1}`} value=${s.event} set=${(event) => change(i, { ...s, event })} />`}
        ${i > 0 && html`<button class="icon" aria-label=${`Move step ${i + 1} up`} onClick=${() => move(i, -1)}>↑</button>`}
        ${i < steps.length - 1 && html`<button class="icon" aria-label=${`Move step ${i + 1} down`} onClick=${() => move(i, 1)}>↓</button>`}
        <button class="icon" aria-label=${`Remove step ${i + 1}`} onClick=${() => put({ steps: steps.filter((_, k) => k !== i) })}>✕</button>
      ${s.event && html`<${Filters} value=${s.where} event=${s.event} add=${`Filter of step ${i + 1}`} set=${(tree) => change(i, { ...s, where: tree })} />`}</div>`)}
    <div class="row"><${PickEvent} clear label=${steps.length ? 'Add the next step' : 'Choose the first step'} value="" set=${(event) => event && put({ steps: [...steps, { event }] })} /></div>
    <div class="row"><label class="row">within <${Entry} type="number" required min="1" max="999" aria-label="Window" value=${window.n} set=${(n) => put({ window: { ...window, n } })} /></label>
      <${Select} bare label="Window's unit" value=${window.unit} options=${UNITS.map((u) => [u, window.n === 1 ? u : `${u}s`])} set=${(unit) => put({ window: { ...window, unit } })} />
      <${Select} bare label="Order" value=${order} options=${Object.entries(ORDERS)} set=${(o) => put({ order: o, count: undefined })} />
      ${order === 'ordered' && html`<span class="soft">counting</span><${Select} bare label="Counting" value=${count} options=${Object.entries(COUNTS)} set=${(c) => put({ count: c })} />`}</div>
    <div class="row"><span class="soft">by</span>${breakdown?.prop ? html`<span class="chip">${propWords(breakdown.prop)}<button class="icon" aria-label="Remove the breakdown"
        onClick=${() => put({ breakdown: undefined })}>✕</button></span>
      <${Select} bare label="Which value" value=${breakdown.attribution || 'first'} options=${Object.entries(ATTRIBUTIONS)} set=${(attribution) => put({ breakdown: { ...breakdown, attribution } })} />` :
      html`<${PickProp} clear label="Break down by" event=${steps[0]?.event} set=${(p) => p.prop && put({ breakdown: p })} />`}</div>
    <${Filters} value=${state.where} event=${steps[0]?.event} add="Filter of all steps" cohorts=${cohorts} set=${(tree) => put({ where: tree })} /></div>`;
}

function Steps({ answer: a, show, what }) {
  return html`<div class="bars" tabindex="0" role="region" aria-label="Steps">${a.steps.map((s, i) => {
    const lost = i ? a.steps[i - 1].count - s.count : 0;
    const made = () => show(i + 1, false);
    const dropped = () => i && show(i + 1, true);
    return html`<div><b>${percent(s.share)}</b>
      <div class="box" aria-hidden="true" onClick=${(e) => (e.target.tagName === 'I' ? made() : dropped())} style=${{ cursor: 'pointer' }}>
        <i style=${{ height: `${100 * (s.share || 0)}%` }}></i></div>
      <span class="label">${i + 1}. ${eventWords(s.event)}</span>
      <span class="small"><button class="cell" aria-label=${`Who came to step ${i + 1}`} onClick=${made}>${number(s.count)} ${what}</button></span>
      ${i > 0 && html`<span class="small soft">${percent(s.from_previous)} of the step before${a.worst === i + 1 ? html` <span class="badge warn">largest loss</span>` : ''}</span>
        <span class="small soft"><button class="cell" aria-label=${`Who dropped before step ${i + 1}`} onClick=${dropped}>${number(lost)} dropped</button></span>
        <span class="small soft">${duration(s.median_ms)} (median)</span>`}</div>`;
  })}</div>`;
}

function Segments({ answer: a, by }) {
  const columns = [{ name: propWords(by), cell: (g) => g.segment === '$other' ? 'All others' : g.segment },
    { name: 'Conversion', number: true, cell: (g) => percent(g.steps.at(-1).share), sort: (g) => g.steps.at(-1).share },
    ...a.steps.map((s, i) => ({ name: `${i + 1}. ${eventWords(s.event)}`, number: true, cell: (g) => number(g.steps[i].count), sort: (g) => g.steps[i].count })),
    { name: 'Time (median)', number: true, cell: (g) => duration(g.steps.at(-1).from_start_median_ms), sort: (g) => g.steps.at(-1).from_start_median_ms }];
  return html`<div class="card"><h2>By ${propWords(by)}</h2><div class="scroll" tabindex="0" role="region" aria-label=${`By ${propWords(by)}`}>
    <${Table} label=${`Conversion by ${propWords(by)}`} columns=${columns} rows=${a.segments} keyOf=${(g) => g.segment} /></div></div>`;
}

export default function Funnels({ state, set }) {
  const [who, setWho] = useState(null);
  const put = (part) => set(JSON.parse(JSON.stringify({ ...state, ...part })));
  const question = funnelOf(state);
  const answer = useAsk('funnel', question, 15000);
  const { zone, ...saved } = question || {};
  const people = !['totals', 'sessions'].includes(state.count);
  const show = (step, dropped) => (people ? setWho({ title: dropped ? `Dropped before step ${step}` : `Came to step ${step}`, words: dropped ? `dropped before step ${step}` : `came to step ${step}`,
    funnel: { question, step, dropped } }) : toast('Tries are counted here: count people to see who they are.'));
  return html`<${Title} title="Funnels"><${Saved} kind="funnel" state=${state} set=${set} question=${question && saved} /><//>
    <${Builder} state=${state} put=${put} />
    <div class="row controls"><${Range} state=${state} set=${put} /><span class="grow"></span>
      <${Select} bare label="Trend" value=${state.trend || ''} options=${[['', 'No trend'], ['day', 'Trend by day'], ['week', 'Trend by week'], ['month', 'Trend by month']]} set=${(t) => put({ trend: t || undefined })} />
      <button disabled=${!question} onClick=${() => saveCsv('funnel', question, 'funnel').catch((e) => toast(e.message, true))}>CSV</button></div>
    ${!question && html`<${Empty} title="Where do people get lost?"><p>Choose events in the order in which people should do them, such as a product seen, put into the cart, bought. You see how many go on at each step.</p><//>`}
    ${question && html`<${State} state=${answer}>${(a) => {
      const { asked } = a;
      if (!a.steps[0].count) return html`<${Nothing} answer=${a} title="Nobody began in this time"><p>No one did “${eventWords(a.steps[0].event)}”${asked.steps[0].where ? ' with these filters' : ''}. Choose a longer time or another first step.</p><//>`;
      const end = a.steps.at(-1);
      const what = people ? 'people' : 'tries';
      return html`<div class="card"><p><span class="big">${percent(end.share)}</span> <span class="soft">of ${number(a.steps[0].count)} ${what} came to the last step (${number(end.count)})${
          a.times.median_ms === null ? '' : `, half of them within ${duration(a.times.median_ms)}`}</span></p>
          <${Steps} answer=${a} show=${show} what=${what} /></div>
        ${a.trend && html`<div class="card"><h2>Conversion by ${asked.trend}</h2><${Lines} share buckets=${a.trend.map((t) => t.bucket)} unit=${asked.trend} height=${220}
          lines=${[{ name: 'Conversion', colour: COLOURS[0], values: a.trend.map((t) => (t.entered ? t.converted / t.entered : null)) }]} />
          <details><summary>Numbers</summary><${Table} label="Conversion by time" rows=${a.trend} columns=${[{ name: 'Entered on', cell: (t) => `${bucketWords(t.bucket, asked.trend)}${t.incomplete ? '*' : ''}` },
            { name: 'Entered', number: true, cell: (t) => number(t.entered) }, { name: 'Converted', number: true, cell: (t) => number(t.converted) },
            { name: 'Conversion', number: true, cell: (t) => percent(t.entered ? t.converted / t.entered : null) }]} /></details></div>`}
        ${a.segments && html`<${Segments} answer=${a} by=${asked.breakdown.prop} />`}
        ${a.steps.length > 1 && a.times.bins?.length > 0 && html`<div class="card"><h2>Time to convert</h2><p class="soft">${`${plural(a.times.count, people ? 'person' : 'try', what)}: ${duration(a.times.median_ms)} median, ${duration(a.times.mean_ms)} mean`}</p>
          <${Bars} rows=${a.times.bins.map(([from, n]) => ({ name: `from ${duration(from)}`, value: n }))} /></div>`}
        <${Freshness} answer=${a} />`;
    }}<//>`}
    ${who && html`<${Who} ...${who} close=${() => setWho(null)} />`}`;
}
