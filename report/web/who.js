// who.js - the persons behind a number; tables as CSV files, made here
import { html, useAsk, useState, number, personHref, hrefOf, ago, plural, download, zone } from './api.js';
import { Dialog, State, Table } from './parts.js';

// A spreadsheet takes a text that begins like this for a formula: it gets an apostrophe in front.
const cell = (value) => {
  const text = value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  const safe = typeof value === 'string' && /^[=+@\t\r-]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
};

export const saveTable = (name, head, rows) => download(new Blob([[head, ...rows].map((r) => r.map(cell).join(',')).join('\r\n'), '\r\n'],
  { type: 'text/csv' }), `${name}.csv`);

// query: a tree of people; or funnel: { question, step, dropped }.
export function Who({ title, words, query, funnel, close }) {
  const [limit, setLimit] = useState(100);
  const state = useAsk(funnel ? 'funnel' : 'people', funnel ? { ...funnel.question, breakdown: undefined, trend: undefined,
    people: { step: funnel.step, dropped: !!funnel.dropped, limit } } : { query, columns: ['$name', '$email', '$city', '$country'], sort: '-$last_seen', limit,
    zone });
  const link = { name: 'Person', cell: (p) => html`<a class="id" title=${p.id} href=${personHref(p.id)}>${p.id}</a>` };
  const columns = funnel ? [link] : [link, { name: 'Email', cell: (p) => p.traits.$email ?? '' },
    { name: 'Place', cell: (p) => [p.traits.$city, p.traits.$country].filter(Boolean).join(', ') }, { name: 'Last seen', cell: (p) => ago(p.last_seen) }];
  return html`<${Dialog} title=${title} close=${close} wide=${!funnel} actions=${html`${query && html`<a class="button" href=${hrefOf('/people', { query })}>Open in People</a>`}
      <button onClick=${() => saveTable('people', ['id'], (funnel ? state.answer?.people.people : state.answer?.people || []).map((p) => [p.id]))} disabled=${!state.answer}>CSV of these</button>`}>
    <${State} state=${state}>${(a) => {
      const { total, people } = funnel ? a.people : a;
      return html`<p><b class="big">${number(total)}</b> <span class="soft">${words || (total === 1 ? 'person' : 'people')}</span></p>
        <div class="scroll"><${Table} label=${title} columns=${columns} rows=${people} keyOf=${(p) => p.id} empty="Nobody." /></div>
        ${people.length < total && html`<p class="soft small">The first ${plural(people.length, 'person', 'people')} ${limit < 1000 ? html`<button class="quiet" onClick=${() => setLimit(1000)}>Show more</button>` : ''}</p>`}`;
    }}<//><//>`;
}
