// chart.js - lines by time as SVG: exact numbers on hover, a click on a point, drag to zoom.
// Own, for size: uPlot takes 22 kB of the 60 that all pages together may have. Colours come from style.css, so that
// light and dark need no redrawing.
import { html, useEffect, useMemo, useRef, useState, number, percent } from './api.js';
import { bucketWords, timeOf } from './query.js';

const LEFT = 46;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 24;

// Round steps of 1, 2 or 5, about `wanted` of them; powers of ten where it is logarithmic.
function ticksOf(low, high, log, wanted = 5) {
  if (log) return Array.from({ length: Math.ceil(Math.log10(high)) + 1 }, (_, i) => 10 ** i);
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((s) => s * power >= raw) * power;
  const ticks = [];
  for (let t = Math.floor(low / step) * step; t < high + step / 1e6; t += step) ticks.push(Math.abs(t) < step / 1e6 ? 0 : t);
  if (ticks.at(-1) < high) ticks.push(ticks.at(-1) + step);
  return ticks;
}

function tickWords(bucket, unit, i, buckets) {
  if (typeof bucket === 'number') return String(bucket);
  const d = new Date(timeOf(bucket));
  if (unit === 'hour' || unit === 'minute') return d.toLocaleString('en-GB', i === 0 || timeOf(buckets[i - 1]) < new Date(d).setHours(0, 0, 0, 0) || (!d.getHours() && !d.getMinutes()) ?
    { day: 'numeric', month: 'short' } : { hour: '2-digit', minute: '2-digit' });
  return d.toLocaleString('en-GB', unit === 'month' || unit === 'quarter' ? { month: 'short', year: '2-digit' } : unit === 'year' ? { year: 'numeric' } : { day: 'numeric', month: 'short' });
}

const isNumber = (v) => v !== null && v !== undefined;

// values: a line, broken where there is none.
function pathOf(values, x, y, from = 0, to = values.length - 1) {
  let text = '';
  let pen = 'M';
  for (let i = from; i <= to; i += 1) {
    if (isNumber(values[i])) { text += `${pen}${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}`; pen = 'L'; } else pen = 'M';
  }
  return text;
}

function useWidth() {
  const place = useRef();
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const sized = new ResizeObserver(() => setWidth(place.current?.clientWidth || 0));
    sized.observe(place.current);
    return () => sized.disconnect();
  }, []);
  return [place, width];
}

function scales({ width, height, buckets, all, log }) {
  const values = all.flatMap((l) => l.values.filter(isNumber));
  const low = log ? 1 : Math.min(0, ...values);
  const ticks = ticksOf(low, Math.max(log ? 10 : 0, ...values) || 1, log, Math.max(2, Math.floor(height / 60)));
  const [bottom, top] = [ticks[0], ticks.at(-1)];
  const inner = width - LEFT - RIGHT;
  const part = log ? (v) => Math.log10(Math.max(v, 1)) / Math.log10(top) : (v) => (v - bottom) / (top - bottom);
  return { ticks, inner, x: (i) => LEFT + (buckets.length > 1 ? (i * inner) / (buckets.length - 1) : inner / 2),
    y: (v) => height - BOTTOM - part(v) * (height - TOP - BOTTOM) };
}

function Drawing({ s, width, height, buckets, unit, all, share }) {
  const every = Math.max(1, Math.ceil(buckets.length / Math.max(2, Math.floor(s.inner / 74))));
  const words = share ? (t) => `${Math.round(100 * t)} %` : (t) => t.toLocaleString('en', { notation: 'compact' });
  return html`${s.ticks.map((t) => html`<path d=${`M${LEFT} ${s.y(t)}H${width - RIGHT}`} stroke="var(--line)" />
      <text x=${LEFT - 8} y=${s.y(t) + 4} text-anchor="end">${words(t)}</text>`)}
    ${buckets.map((b, i) => (i % every ? '' : html`<text x=${s.x(i)} y=${height - 6} text-anchor="middle">${tickWords(b, unit, i, buckets)}</text>`))}
    ${all.map((l) => {
      const n = l.values.length - 1;
      const whole = l.incomplete?.includes(true) && !l.dash ? l.incomplete.indexOf(true) - 1 : n;
      const ends = l.values.map((v, i) => (isNumber(v) ? i : -1)).filter((i) => i >= 0);
      return html`${all.length === 1 && ends.length > 1 && html`<path class="area" d=${`${pathOf(l.values.map((v) => v ?? 0), s.x, s.y, ends[0], ends.at(-1))}L${s.x(ends.at(-1))} ${s.y(0)}L${s.x(ends[0])} ${s.y(0)}Z`} fill=${l.colour} />`}
        <path d=${pathOf(l.values, s.x, s.y, 0, whole)} fill="none" stroke=${l.colour} stroke-width=${l.dash ? 1.5 : 2} stroke-dasharray=${l.dash ? '5 4' : undefined} stroke-linejoin="round" />
        ${whole < n && html`<path d=${pathOf(l.values, s.x, s.y, Math.max(0, whole), n)} fill="none" stroke=${l.colour} stroke-width="2" stroke-dasharray="2 3" />`}
        ${!l.dash && n < 32 && l.values.map((v, i) => isNumber(v) && html`<circle cx=${s.x(i)} cy=${s.y(v)} r="2.6" fill=${l.colour} />`)}`;
    })}`;
}

function Tip({ at, near, buckets, unit, all, share, s, width }) {
  const rows = all.map((l, i) => [l, i]).filter(([l]) => isNumber(l.values[at])).sort((a, b) => b[0].values[at] - a[0].values[at]).slice(0, 13);
  const right = s.x(at) > width / 2;
  return html`<div class="tip" style=${{ top: '0px', [right ? 'right' : 'left']: `${(right ? width - s.x(at) : s.x(at)) + 12}px` }}>
    <b>${typeof buckets[at] === 'number' ? `${unit} ${buckets[at]}` : bucketWords(buckets[at], unit)}</b>
    ${rows.map(([l, i]) => html`<p style=${{ fontWeight: i === near ? 700 : 400 }}><span><span class="dot" style=${{ background: l.colour }}></span>${l.name}</span>
      <span>${share ? percent(l.values[at]) : number(l.values[at])}</span></p>`)}</div>`;
}

// lines: [{ name, colour, values, incomplete, compared }]; point(line, index): a click; zoom(from, to): a drag.
export function Lines({ buckets, unit, lines, point, zoom, share, height = 300, log }) {
  const [place, width] = useWidth();
  const [pointer, setOver] = useState(null);
  const all = lines.flatMap((l) => [l, ...(l.compared ? [{ ...l, name: `${l.name}, before`, values: l.compared, dash: true }] : [])]);
  // Where the pointer was may be gone after a change of the question.
  const over = pointer && pointer.at < buckets.length && pointer.near < all.length && (pointer.near < 0 || isNumber(all[pointer.near].values[pointer.at])) ? pointer : null;
  const key = JSON.stringify([buckets, unit, lines, log, share, height, width]);
  const s = useMemo(() => scales({ width, height, buckets, all, log }), [key]);
  const drawing = useMemo(() => html`<${Drawing} ...${{ s, width, height, buckets, unit, all, share }} />`, [key]);
  const find = (e) => {
    const box = place.current.getBoundingClientRect();
    const at = Math.max(0, Math.min(buckets.length - 1, buckets.length > 1 ? Math.round(((e.clientX - box.left - LEFT) * (buckets.length - 1)) / s.inner) : 0));
    let near = -1;
    let best = Infinity;
    all.forEach((l, i) => {
      const gap = isNumber(l.values[at]) ? Math.abs(s.y(l.values[at]) - (e.clientY - box.top)) : Infinity;
      if (gap < best) [best, near] = [gap, i];
    });
    return { at, near };
  };
  const move = (e) => { const now = find(e); setOver((old) => ({ ...now, from: old?.from, x: old?.x })); };
  const down = (e) => { if (e.button === 0) { setOver({ ...find(e), from: find(e).at, x: e.clientX }); } };
  const up = (e) => {
    const { at, near } = find(e);
    const { from, x } = over || {};
    setOver({ at, near });
    if (x === undefined) return;
    if (zoom && Math.abs(e.clientX - x) > 8 && from !== at) zoom(Math.min(from, at), Math.max(from, at));
    else if (point && near >= 0 && !all[near].dash && Math.abs(e.clientX - x) <= 8) point(all[near], at);
  };
  const drags = over && over.from !== undefined && over.from !== over.at;
  return html`<div class="plot" ref=${place} style=${{ height: `${height}px` }}>
    ${width > 0 && html`<svg width=${width} height=${height} role="img" aria-label="Chart by time; the table has its numbers" style=${{ cursor: point ? 'pointer' : '' }}
      onPointerMove=${move} onPointerDown=${down} onPointerUp=${up} onPointerLeave=${() => setOver(null)}>
      <rect width=${width} height=${height} fill="transparent" />
      ${drags && html`<rect x=${s.x(Math.min(over.from, over.at))} y=${TOP} width=${Math.abs(s.x(over.at) - s.x(over.from))} height=${height - TOP - BOTTOM} fill="var(--accent)" opacity=".15" />`}
      ${drawing}
      ${over && !drags && html`<path d=${`M${s.x(over.at)} ${TOP}V${height - BOTTOM}`} stroke="var(--edge)" stroke-dasharray="3 3" />`}
      ${over && over.near >= 0 && html`<circle cx=${s.x(over.at)} cy=${s.y(all[over.near].values[over.at])} r="5" fill=${all[over.near].colour} stroke="var(--card)" stroke-width="2" />`}</svg>
    ${over && !drags && html`<${Tip} ...${{ ...over, buckets, unit, all, share, s, width }} />`}`}</div>`;
}

// --- small pictures: lines without axes, bars with their numbers ---

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
