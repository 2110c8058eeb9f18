// spark.js - small pictures: lines without axes, bars with their numbers
import { html, number } from './api.js';

// Told apart by their lightness, too; on light and on dark at least 3 : 1.
export const COLOURS = ['#3b78e7', '#d9534f', '#2c9c6a', '#b7791f', '#8b5cf6', '#0e93a8', '#cf5f1c', '#7b8494', '#c0479f', '#5f8d1a', '#5661c9', '#a1623a', '#6b7f93'];

// A line (or several) without axes, for cards.
export function Spark({ lines, label }) {
  const top = Math.max(1e-9, ...lines.flatMap((l) => l.values.map((v) => v || 0)));
  const x = (values, i) => (values.length > 1 ? (i * 300) / (values.length - 1) : 0).toFixed(1);
  // What has no value yet, at the end, is not drawn.
  const end = (values) => values.findLastIndex((v) => v !== null && v !== undefined);
  const path = (values) => values.slice(0, end(values) + 1).map((v, i) => `${i ? 'L' : 'M'}${x(values, i)} ${(76 - ((v || 0) / top) * 70).toFixed(1)}`).join('');
  return html`<svg class="spark" viewBox="0 0 300 80" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${lines.length === 1 && end(lines[0].values) >= 0 && html`<path d=${`${path(lines[0].values)}L${x(lines[0].values, end(lines[0].values))} 80L0 80Z`} fill="currentColor" opacity=".15" />`}
    ${lines.map((l) => html`<path d=${path(l.values)} fill="none" stroke=${l.colour || 'currentColor'} stroke-width="2" vector-effect="non-scaling-stroke" />`)}</svg>`;
}

// Bars side by side with their numbers: [{ name, value, words, colour }].
export function Bars({ rows }) {
  const top = Math.max(0, ...rows.map((r) => r.value || 0)) || 1;
  return html`<div class="hbars">${rows.map((r) => html`<span>${r.name}</span>
    <i style=${{ width: `${(100 * (r.value || 0)) / top}%`, background: r.colour }}></i><b>${r.words ?? number(r.value)}</b>`)}</div>`;
}
