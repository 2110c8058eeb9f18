// segmentation.js - how often things happen: the top events at once, or chosen ones, by time and by property
import { html, useState, useAsk, number, saveCsv, percent, plural } from './api.js';
import { Choices, Entry, Select, State, Title, toast } from './parts.js';
import { Filters, Freshness, Nothing, PickEvent, PickProp, Range, addDays, Undone, bucketWords, eventWords, isDate, leafWords, needsProp, propWords, unitsOf, withinOf, trendOf } from './query.js';
import { Bars, COLOURS, Lines } from './chart.js';
import { Saved, useReports } from './saved.js';
import { Who } from './who.js';

const MEASURES = { total: 'Total events', unique: 'Unique people', per_user: 'Events per person', dau: 'Active people, that day', wau: 'Active people, 7 days',
  mau: 'Active people, 30 days', sessions: 'Sessions', sum: 'Sum of…', avg: 'Average of…', median: 'Median of…', min: 'Smallest…', max: 'Largest…', p25: '25th percentile of…',
  p75: '75th percentile of…', p90: '90th percentile of…', p99: '99th percentile of…', distinct: 'Different values of…' };
const COMPARE = { '': 'No comparison', previous: 'Previous period', day: 'A day before', week: 'A week before', month: 'A month before', quarter: 'A quarter before', year: 'A year before' };

const letter = (i) => String.fromCharCode(65 + i);
export function lineNames(answer, question) {
  const many = (question.measures || []).length > 1;
  const seen = {};
  return answer.series.map((l, i) => {
    const m = question.measures?.[l.measure];
    const part = l.segment?.length ? l.segment.map((s) => (s === '$other' ? 'All others' : s)).join(' / ') : '';
    const what = l.formula ? `Formula ${question.formula || ''}` : question.measures ? `${many ? `${letter(l.measure)}. ` : ''}${eventWords(m.event)}` : l.event;
    let name = part ? (many || l.formula ? `${what}, ${part}` : part) : what;
    seen[name] = (seen[name] || 0) + 1;
    if (seen[name] > 1) name += ` (${seen[name]})`;
    return { ...l, name, colour: COLOURS[i % COLOURS.length] };
  });
}

// A line's segment as filters.
const segmentOf = (question, line) => (line.segment || []).map((value, i) => {
  const { prop, of } = question.breakdown[i];
  const base = { prop, ...(of ? { of } : {}) };
  const range = /^\[(-?[\d.e+]+), (-?[\d.e+]+)\)$/i.exec(value);
  if (value === '(not set)') return { ...base, op: 'is_not_set' };
  if (range) return { and: [{ ...base, op: '>=', values: [Number(range[1])] }, { ...base, op: '<', values: [Number(range[2])] }] };
  return { ...base, op: 'is', type: 'string', values: [value === '(empty string)' ? '' : value] };
});

// The persons behind a point: who did its event in its bucket, with its filters and its segment.
function behind(question, line, bucket) {
  const m = question.measures?.[line.measure] || { event: line.event, measure: 'total' };
  const within = withinOf(bucket, question.unit);
  if (m.measure === 'dau') within.from = within.to;
  if (m.measure === 'wau') within.from = addDays(within.to, -6);
  if (m.measure === 'mau') within.from = addDays(within.to, -29);
  const filters = [question.where, m.where, ...segmentOf(question, line)].filter(Boolean);
  return { and: [{ did: m.event, within, ...(filters.length ? { where: { and: filters } } : {}) }] };
}
const canShow = (line, question) => !line.formula && !line.segment?.includes('$other') && !question.rolling && !question.cumulative;

function Measure({ m, at, set, remove }) {
  return html`<div class="step"><span class="letter">${letter(at)}</span>
      <${PickEvent} label=${`Event ${letter(at)}`} value=${m.event} set=${(event) => set({ ...m, event })} />
      <${Select} bare label=${`Measure ${letter(at)}`} value=${m.measure} options=${Object.entries(MEASURES)}
        set=${(measure) => set({ ...m, measure, prop: needsProp(measure) ? m.prop : undefined })} />
      ${needsProp(m.measure) && html`<${PickProp} label=${`Property of ${letter(at)}`} of="event" event=${m.event} value=${m} set=${({ prop }) => set({ ...m, prop })} />${!m.prop && html`<${Undone} />`}`}
      <button class="icon" aria-label=${`Remove ${letter(at)}`} onClick=${remove}>✕</button>
    ${m.event && html`<${Filters} value=${m.where} event=${m.event} add=${`Filter of ${letter(at)}`} set=${(tree) => set({ ...m, where: tree })} />`}</div>`;
}

function Builder({ state, put }) {
  const cohorts = useReports().reports.filter((f) => f.value?.kind === 'people');
  const { measures = [], breakdown = [], formula } = state;
  const change = (i, m) => put({ measures: measures.map((x, k) => (k === i ? m : x)) });
  return html`<div class="card stack">
    ${measures.map((m, i) => html`<${Measure} key=${i} m=${m} at=${i} set=${(next) => change(i, next)}
      remove=${() => put({ measures: measures.length > 1 ? measures.filter((_, k) => k !== i) : undefined })} />`)}
    <div class="row">${!measures.length && html`<span class="soft">The most frequent events</span>`}
      <${PickEvent} clear label=${measures.length ? 'Add another event' : 'Choose an event'} value="" set=${(event) => event && put({ measures: [...measures, { event, measure: measures.at(-1)?.measure || 'total' }] })} />
      ${measures.length > 1 && html`<label class="row small">Formula <${Entry} aria-label="Formula" placeholder="B / A" value=${formula} set=${(text) => put({ formula: text || undefined })} /></label>`}</div>
    <div class="row"><span class="soft">by</span>${breakdown.map((b, i) => html`<span class="chip">${propWords(b.prop)}<button class="icon" aria-label=${`Remove ${propWords(b.prop)}`}
        onClick=${() => put({ breakdown: breakdown.length > 1 ? breakdown.filter((_, k) => k !== i) : undefined })}>✕</button></span>`)}
      ${breakdown.length < 5 && html`<${PickProp} clear label=${breakdown.length ? 'and by' : 'Break down by'} event=${measures[0]?.event} set=${(p) => p.prop && put({ breakdown: [...breakdown, p] })} />`}</div>
    <${Filters} value=${state.where} event=${measures[0]?.event} cohorts=${cohorts} set=${(tree) => put({ where: tree })} /></div>`;
}

function Numbers({ answer, question, lines, hidden, setHidden, show, only }) {
  const [text, setText] = useState('');
  const [by, setBy] = useState(null);
  const value = (l) => (by === 'name' ? l.name : by === null ? 0 : by < 0 ? l.overall : l.values[by]);
  const rows = lines.filter((l) => l.name.toLowerCase().includes(text.toLowerCase()));
  if (by !== null) rows.sort((a, b) => (by === 'name' ? (value(a) < value(b) ? -1 : 1) : (value(b) ?? -1) - (value(a) ?? -1)));
  const head = (key, words, star) => html`<button onClick=${() => setBy(by === key ? null : key)}>${words}${star ? '*' : ''}${by === key ? ' ↓' : ''}</button>`;
  const compared = answer.series.some((l) => l.compared);
  return html`<div class="card"><div class="row"><h2>${plural(lines.filter((l) => !hidden.includes(l.name)).length, 'line')} of ${lines.length} shown</h2><span class="grow"></span>
      ${lines.length > 6 && html`<input aria-label="Search in the table" placeholder="Search" value=${text} onInput=${(e) => setText(e.target.value)} />`}
      <button class="quiet" onClick=${() => setHidden(hidden.length ? [] : lines.slice(1).map((l) => l.name))}>${hidden.length ? 'Show all' : 'Only the first'}</button></div>
    <div class="scroll" tabindex="0" role="region" aria-label="Numbers"><table class="pinned"><caption class="sr">Numbers of the chart</caption><thead><tr><th scope="col">${head('name', 'Line')}</th>
      <th scope="col" class="number">${head(-1, 'Overall')}</th>${compared && html`<th scope="col" class="number">Before</th><th scope="col" class="number">Change</th>`}
      ${answer.buckets.map((b, i) => html`<th scope="col" class="number">${head(i, bucketWords(b, question.unit), lines[0]?.incomplete?.[i])}</th>`)}</tr></thead>
    <tbody>${rows.map((l) => html`<tr key=${l.name}><th scope="row"><label><input type="checkbox" checked=${!hidden.includes(l.name)}
        onChange=${() => setHidden(hidden.includes(l.name) ? hidden.filter((h) => h !== l.name) : [...hidden, l.name])} />
        <span class="dot" style=${{ background: l.colour }}></span>${l.name}</label>
        ${canShow(l, question) && html`<button class="icon only" aria-label=${`Only ${l.name}`} onClick=${() => only(l)}>only</button>`}</th><td class="number">${number(l.overall)}</td>
      ${compared && html`<td class="number">${number(l.compared_overall)}</td><td class=${`number ${l.overall >= l.compared_overall ? 'good' : 'bad'}`}>${
        l.compared_overall ? `${l.overall >= l.compared_overall ? '+' : ''}${percent(l.overall / l.compared_overall - 1)}` : '–'}</td>`}
      ${l.values.map((v, i) => html`<td class="number">${v && canShow(l, question) ? html`<button class="cell" title="Who?" onClick=${() => show(l, i)}>${number(v)}</button>` : number(v)}</td>`)}</tr>`)}</tbody></table></div>
    ${lines[0]?.incomplete?.includes(true) && html`<p class="soft small">* not over yet</p>`}</div>`;
}

export default function Segmentation({ state, set }) {
  const [who, setWho] = useState(null);
  const put = (part) => set(JSON.parse(JSON.stringify({ ...state, ...part })));
  const view = state.view || {};
  const { chart = 'line', hidden = [], log } = view;
  const look = (part) => put({ view: { ...view, ...part } });
  const question = trendOf(state);
  const answer = useAsk('trend', question, 15000);
  const compare = state.compare?.previous ? 'previous' : state.compare?.shift?.unit || '';
  const { zone, ...saved } = question;
  // A click on a name asks for it alone: its event, or its segment as a filter.
  const only = (line) => put(line.segment?.length ? { where: { and: [...(state.where?.and || (state.where ? [state.where] : [])), ...segmentOf(question, line)] }, breakdown: undefined } :
    { measures: [question.measures?.[line.measure] || { event: line.event, measure: 'total' }] });
  const zoom = (buckets, a, b) => {
    const to = withinOf(buckets[b], question.unit).to;
    put({ last: undefined, from: isDate(buckets[a]) ? buckets[a] : new Date(buckets[a]).toISOString(), to, unit: undefined });
  };
  return html`<${Title} title="Segmentation"><${Saved} kind="trend" state=${state} set=${set} question=${JSON.parse(JSON.stringify(saved))} /><//>
    <${Builder} state=${state} put=${put} />
    <div class="row controls"><${Range} state=${state} set=${(range) => put({ ...range, unit: undefined })} />
      <${Select} bare label="Compare" value=${compare} options=${Object.entries(COMPARE)} set=${(c) => put({ compare: !c ? undefined : c === 'previous' ? { previous: true } : { shift: { n: 1, unit: c } } })} />
      <span class="grow"></span>
      <${Select} bare label="Unit" value=${question.unit} options=${unitsOf(state)} set=${(unit) => put({ unit })} />
      ${(state.measures || []).length > 0 && html`<${Select} bare label="Smoothing" value=${state.cumulative ? 'cumulative' : state.rolling ? 'rolling' : ''} options=${[['', 'As it is'], ['rolling', 'Mean of 7'], ['cumulative', 'Cumulative']]}
        set=${(s) => put({ rolling: s === 'rolling' ? 7 : undefined, cumulative: s === 'cumulative' ? true : undefined })} />`}
      <${Choices} label="Chart" value=${chart} set=${(c) => look({ chart: c })} options=${[['line', 'Line'], ['bar', 'Bar'], ['table', 'Table']]} />
      ${chart === 'line' && html`<button aria-pressed=${String(!!log)} onClick=${() => look({ log: log ? undefined : true })}>Log</button>`}
      <button onClick=${() => saveCsv('trend', question, 'segmentation').catch((e) => toast(e.message, true))}>CSV</button></div>
    <${State} state=${answer}>${(a) => {
      const question = a.asked;
      const lines = lineNames(a, question);
      if (!lines.length || lines.every((l) => !l.overall && l.values.every((v) => !v))) return html`<${Nothing} answer=${a} title="Nothing happened in this time">
        <p>${question.where ? `No event fits ${(question.where.and || question.where.or || []).map(leafWords).join(', ')}. ` : ''}Choose a longer time${question.measures ? ' or another event' : ', or send a first event'}.</p>
        <a class="button" href="#/sources">How to send events</a><//>`;
      const shown = lines.filter((l) => !hidden.includes(l.name));
      const show = (line, i) => canShow(line, question) ? setWho({ title: `${line.name}, ${bucketWords(a.buckets[i], question.unit)}`, query: behind(question, line, a.buckets[i]) }) :
        toast('These are of many: choose a single line.');
      return html`${chart === 'line' && html`<div class="card"><${Lines} buckets=${a.buckets} unit=${question.unit} lines=${shown} log=${log} point=${show} zoom=${(x, y) => zoom(a.buckets, x, y)} />
          <p class="soft small">Drag over the chart to zoom in, click a point to see who is behind it.</p></div>`}
        ${chart === 'bar' && html`<div class="card"><${Bars} rows=${shown.map((l) => ({ name: l.name, value: l.overall, colour: l.colour }))} /></div>`}
        <${Numbers} answer=${a} question=${question} lines=${lines} hidden=${hidden} setHidden=${(h) => look({ hidden: h.length ? h : undefined })} show=${show} only=${only} />
        <${Freshness} answer=${a} />`;
    }}<//>
    ${who && html`<${Who} ...${who} close=${() => setWho(null)} />`}`;
}
