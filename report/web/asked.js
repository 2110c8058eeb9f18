// asked.js - a page's state as the question: what is not filled in yet is left out, defaults are said
import { defaultUnit, rangeOf, ready, where } from './query.js';

export const needsProp = (m) => ['sum', 'avg', 'median', 'min', 'max', 'p25', 'p75', 'p90', 'p99', 'distinct'].includes(m);

export function trendOf(state) {
  const { view, report, unit, where: filters, measures = [], breakdown = [], ...rest } = state;
  const done = measures.filter((m) => m.event && (!needsProp(m.measure) || m.prop));
  const by = breakdown.filter((b) => b.prop);
  const asked = done.length ? done : by.length ? [{ event: '*', measure: 'total' }] : [];
  const sums = asked.every((m) => ['total', 'unique', 'per_user', 'sum', 'sessions'].includes(m.measure));
  return { ...(asked.length ? { measures: asked.map((m) => ({ ...m, where: ready(m.where) })) } : {}), ...(by.length ? { breakdown: by } : {}), ...rest,
    ...where(filters), ...rangeOf(state), unit: unit || defaultUnit(state), ...(rest.formula && asked.length ? {} : { formula: undefined }), ...(rest.cumulative && sums && asked.length ? {} : { cumulative: undefined }),
    ...(rest.rolling && asked.length ? {} : { rolling: undefined }) };
}

export function funnelOf(state) {
  const { view, report, steps = [], where: filters, breakdown, ...rest } = state;
  const done = steps.filter((s) => s.event || s.any_of);
  return done.length ? JSON.parse(JSON.stringify({ steps: done.map((s) => ({ ...s, where: ready(s.where) })),
    window: { n: 7, unit: 'day' }, ...rest, ...(breakdown?.prop ? { breakdown } : {}), ...where(filters), ...rangeOf(state) })) : null;
}

const PERIODS = { day: 14, week: 8, month: 6 };
export function retentionOf(state) {
  const { view, report, where: filters, start = {}, return: back = {}, unit = 'week', periods, ...rest } = state;
  const event = (e) => ({ ...e, event: e.event || '*', where: ready(e.where) });
  return JSON.parse(JSON.stringify({ start: event(start), return: event(back), unit, periods: periods || PERIODS[unit], ...rest,
    ...where(filters), ...rangeOf({ ...state, last: state.last || { n: 3, unit: 'month' } }) }));
}
