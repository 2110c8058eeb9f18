// retention.js - who comes back: cohorts by when they began, shaded, and the curve of all of them
import { html, useAsk, useState, number, percent, saveCsv } from './api.js';
import { Choices, Entry, Select, State, Title, toast } from './parts.js';
import { Filters, Freshness, Nothing, PickEvent, Range, addDays, bucketWords, eventWords, localDay, withinOf, retentionOf } from './query.js';
import { COLOURS, Lines } from './chart.js';
import { Saved } from './saved.js';
import { Who } from './who.js';

const KINDS = { recurring: 'every time they do it', first_time: 'the first time in this range', first_ever: 'the first time ever' };
const MODES = { on: 'in exactly that period', on_or_after: 'in that period or later' };
const CLOCKS = { calendar: 'calendar periods', rolling: 'periods from the event on' };


// The bucket k units later.
function later(bucket, unit, k) {
  if (unit === 'day') return addDays(bucket, k);
  if (unit === 'week') return addDays(bucket, 7 * k);
  const d = new Date(`${bucket}T12:00:00`);
  d.setMonth(d.getMonth() + k);
  return localDay(d);
}

// Who is behind a cell, where a query of people can say it exactly; else null. k = -1: the cohort itself.
function behind(q, bucket, k) {
  const filters = (own) => { const list = [q.where, own].filter(Boolean); return list.length ? { where: { and: list } } : {}; };
  const start = { [q.kind === 'first_ever' ? 'first_time' : 'did']: q.start.event, within: withinOf(bucket, q.unit), ...filters(q.start.where) };
  if (q.kind === 'first_time' || (k >= 0 && (k === 0 || q.mode === 'on_or_after' || q.clock === 'rolling'))) return null;
  return { and: [start, ...(k < 0 ? [] : [{ did: q.return.event, within: withinOf(later(bucket, q.unit, k), q.unit), ...filters(q.return.where) }])] };
}

function Cohorts({ answer: a, question, counts, show }) {
  const rows = a.cohorts.filter((c) => c.size > 0);
  const cell = (c, k) => {
    const share = c.size && c.values[k] !== null ? c.values[k] / c.size : null;
    const words = share === null ? '' : `${counts ? number(c.values[k]) : percent(share, 0)}${c.incomplete[k] ? '*' : ''}`;
    const query = share && behind(question, c.bucket, k);
    return html`<td>${share !== null && html`<span style=${{ background: `color-mix(in srgb, var(--accent) ${Math.round(46 * share)}%, var(--card))` }}>${
      query ? html`<button class="cell" title=${`${number(c.values[k])} of ${number(c.size)}`} onClick=${() => show(c, k, query)}>${words}</button>` : words}</span>`}</td>`;
  };
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Cohorts"><table class="heat pinned"><caption class="sr">Cohorts</caption><thead><tr><th scope="col">Began</th><th scope="col" class="number">People</th>
      ${a.average.map((_, k) => html`<th scope="col" class="number">${question.unit[0].toUpperCase() + question.unit.slice(1)} ${k}</th>`)}</tr></thead><tbody>
    <tr><th scope="row">All, by size</th><td class="number">${number(rows.reduce((n, c) => n + c.size, 0))}</td>${a.average.map((v) => html`<td>${v !== null && html`<b>${percent(v, 1)}</b>`}</td>`)}</tr>
    ${rows.map((c) => { const query = behind(question, c.bucket, -1); return html`<tr key=${c.bucket}><th scope="row" class="nowrap">${bucketWords(c.bucket, question.unit)}</th>
      <td class="number">${query ? html`<button class="cell" onClick=${() => show(c, -1, query)}>${number(c.size)}</button>` : number(c.size)}</td>${c.values.map((_, k) => cell(c, k))}</tr>`; })}</tbody></table></div>`;
}

export default function Retention({ state, set }) {
  const [who, setWho] = useState(null);
  const put = (part) => set(JSON.parse(JSON.stringify({ ...state, ...part })));
  const question = retentionOf(state);
  const answer = useAsk('retention', question, 30000);
  const counts = state.view?.counts;
  const { zone, ...saved } = question;
  const show = (c, k, query) => setWho({ title: k < 0 ? `Began ${bucketWords(c.bucket, question.unit)}` : `Began ${bucketWords(c.bucket, question.unit)}, back in ${question.unit} ${k}`, query });
  const event = (key, words) => html`<div class="step"><span class="soft">${words}</span><${PickEvent} label=${key === 'start' ? 'First event' : 'Return event'} value=${state[key]?.event || '*'}
      set=${(e) => put({ [key]: { ...state[key], event: e } })} />
    <${Filters} value=${state[key]?.where} event=${state[key]?.event} add=${key === 'start' ? 'Filter of the first event' : 'Filter of the return'} set=${(tree) => put({ [key]: { ...state[key], where: tree } })} /></div>`;
  return html`<${Title} title="Retention"><${Saved} kind="retention" state=${state} set=${set} question=${saved} /><//>
    <div class="card stack">${event('start', 'People who did')}${event('return', 'and came back to do')}
      <div class="row"><span class="soft">they begin</span><${Select} bare label="Who begins" value=${question.kind || 'recurring'} options=${Object.entries(KINDS)} set=${(kind) => put({ kind })} />
        <span class="soft">and count</span><${Select} bare label="Return counts" value=${question.mode || 'on'} options=${Object.entries(MODES)} set=${(mode) => put({ mode })} />
        <${Select} bare label="Clock" value=${question.clock || 'calendar'} options=${Object.entries(CLOCKS)} set=${(clock) => put({ clock })} /></div>
      <${Filters} value=${state.where} add="Filter of both" set=${(tree) => put({ where: tree })} /></div>
    <div class="row controls"><${Range} state=${{ ...state, last: state.last || { n: 3, unit: 'month' } }} set=${put} /><span class="grow"></span>
      <${Select} bare label="Period" value=${question.unit} options=${['day', 'week', 'month'].map((u) => [u, `by ${u}`])} set=${(unit) => put({ unit, periods: undefined })} />
      <label class="row small">periods <${Entry} type="number" required min="1" max="60" aria-label="Periods" value=${question.periods} set=${(periods) => put({ periods })} /></label>
      <${Choices} label="Cells" value=${counts ? 'counts' : 'share'} options=${[['share', 'Share'], ['counts', 'People']]} set=${(c) => put({ view: c === 'counts' ? { counts: true } : undefined })} />
      <button onClick=${() => saveCsv('retention', question, 'retention').catch((e) => toast(e.message, true))}>CSV</button></div>
    <${State} state=${answer}>${({ asked: q, ...a }) => (a.cohorts.some((c) => c.size) ? html`
      <div class="card"><h2>${`Came back to “${eventWords(q.return.event)}”`}</h2><${Lines} share height=${220} unit=${q.unit} buckets=${a.average.map((_, k) => k)}
        lines=${[{ name: 'All cohorts', colour: COLOURS[0], values: a.average }]} /></div>
      <div class="card"><${Cohorts} answer=${a} question=${q} counts=${counts} show=${show} /><p class="soft small">* the period is not over for all of them; the first row is of whole periods only</p></div>
      <${Freshness} answer=${a} />` : html`<${Nothing} answer=${a} title="Nobody began in this time"><p>No one did “${eventWords(q.start.event)}” with these filters. Choose a longer time or another first event.</p><//>`)}<//>
    ${who && html`<${Who} ...${who} close=${() => setWho(null)} />`}`;
}
