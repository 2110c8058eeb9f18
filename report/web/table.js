// table.js - tables as CSV files, made here
import { download } from './api.js';

// A spreadsheet takes a text that begins like this for a formula: it gets an apostrophe in front.
const cell = (value) => {
  const text = value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  const safe = typeof value === 'string' && /^[=+@\t\r-]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
};

export const saveTable = (name, head, rows) => download(new Blob([[head, ...rows].map((r) => r.map(cell).join(',')).join('\r\n'), '\r\n'],
  { type: 'text/csv' }), `${name}.csv`);
