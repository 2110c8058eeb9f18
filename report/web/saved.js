// saved.js - reports as files: reports/NAME.yaml with title, kind, the question, and how it is looked at (view).
// reports/home.yaml {kind: board, cards: [NAME..]} is the order of the cards on Home.
import { html, useGet, useState, send, canEdit, hrefOf } from './api.js';
import { Check, Dialog, Pick, Text, confirmed, toast } from './parts.js';
import { half } from './query.js';

export const KINDS = { trend: ['Segmentation', '/segmentation'], funnel: ['Funnel', '/funnels'], retention: ['Retention', '/retention'],
  people: ['People', '/people'] };
const BOARD = 'home';

export function useReports(every) {
  const state = useGet('/api/files/reports', every);
  const files = state.answer?.files || [];
  return { ...state, board: files.find((f) => f.name === BOARD)?.value?.cards, reports: files.filter((f) => f.name !== BOARD) };
}

export const setBoard = (cards) => send('PUT', `/api/files/reports/${BOARD}`, { kind: 'board', cards });
export const titleOf = (file) => file.value?.title || file.name;

// A page's state of a file, and back. People's query stands at the top, where aggregate and other programs look for it.
export function stateOf(file) {
  const { title, kind, question, view, description, ...rest } = file.value;
  return { ...(question || rest), ...(view ? { view } : {}), report: file.name };
}
export const openHref = (file) => hrefOf(KINDS[file.value?.kind]?.[1] || '/', file.value ? stateOf(file) : {});
const fileOf = (kind, title, question, view) => ({ title, kind, ...(kind === 'people' ? question : { question }),
  ...(view && Object.keys(view).length ? { view } : {}) });

export function nameOf(title, taken) {
  const base = title.normalize('NFKD').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 56) || 'report';
  let name = base;
  for (let n = 2; taken.includes(name) || name === BOARD; n += 1) name = `${base}-${n}`;
  return name;
}

function SaveDialog({ kind, file, question, view, files, close, done }) {
  const [title, setTitle] = useState(file ? `${titleOf(file)} (copy)` : '');
  const [home, setHome] = useState(true);
  const [error, setError] = useState('');
  const same = files.reports.find((f) => titleOf(f) === title.trim());
  const save = async () => {
    const words = title.trim();
    if (!words) { setError('A title is needed.'); return; }
    const name = same ? same.name : nameOf(words, files.reports.map((f) => f.name));
    try {
      await send('PUT', `/api/files/reports/${name}`, fileOf(kind, words, question, view));
      const cards = files.board || files.reports.map((f) => f.name);
      if (home && !cards.includes(name)) await setBoard([...cards, name]);
      if (!home && files.board === undefined) await setBoard(cards);
      toast(`Saved as “${words}”.`);
      done(name);
    } catch (failure) { setError(failure.message); }
  };
  return html`<${Dialog} title="Save the report" close=${close} onSubmit=${save} actions=${html`<button type="button" onClick=${close}>Cancel</button>
      <button class="main">${same ? 'Replace' : 'Save'}</button>`}><div class="stack">
    <${Text} label="Title" value=${title} set=${(words) => { setTitle(words); setError(''); }} error=${error} hint=${same ? `There is a report of this title: saving replaces it.` :
      `The file will be reports/${nameOf(title || 'title', files.reports.map((f) => f.name))}.yaml`} maxlength="120" />
    <${Check} label="Show it on Home" on=${home} set=${setHome} /></div><//>`;
}

// Open, save, save as, rename, delete. question: what is saved; null: nothing can be saved yet.
export function Saved({ kind, state, set, question }) {
  const files = useReports(0);
  const [dialog, setDialog] = useState('');
  const [title, setTitle] = useState('');
  const own = files.reports.filter((f) => f.value?.kind === kind);
  const file = own.find((f) => f.name === state.report);
  const value = question && fileOf(kind, file ? titleOf(file) : '', question, state.view);
  const undone = half(state);
  const strip = ({ description, ...rest }) => JSON.stringify(rest);
  const changed = file && value && strip(file.value) !== strip(value);
  const fail = (error) => toast(error.message, true);
  const put = (next, words) => send('PUT', `/api/files/reports/${file.name}`, next).then(() => { toast(words); files.again(); setDialog(''); }).catch(fail);
  const remove = async () => {
    if (!await confirmed({ title: `Delete “${titleOf(file)}”?`, words: 'The report goes away for everybody. What it shows is not touched.', action: 'Delete' })) return;
    try {
      await send('DELETE', `/api/files/reports/${file.name}`);
      if (files.board) await setBoard(files.board.filter((n) => n !== file.name));
      toast('Deleted.');
      set({});
      files.again();
    } catch (error) { fail(error); }
  };
  return html`${own.length > 0 && html`<${Pick} label="Open a saved report" clear value="" set=${(name) => { const f = own.find((x) => x.name === name); if (f) set(stateOf(f)); }}
      items=${own.map((f) => ({ name: f.name, words: titleOf(f) }))} />`}
    ${file && html`<span class="chip plain">${titleOf(file)}${changed ? ' (changed)' : ''}</span>`}
    ${canEdit() && html`${file && changed && html`<button class="main" disabled=${undone} onClick=${() => put({ ...value, ...(file.value.description ? { description: file.value.description } : {}) }, 'Saved.')}>Save</button>`}
      <button class=${file ? '' : 'main'} disabled=${!question || undone} title=${undone ? 'A condition is not complete yet' : undefined} onClick=${() => setDialog('save')}>${file ? 'Save as…' : 'Save'}</button>
      ${file && html`<button onClick=${() => { setTitle(titleOf(file)); setDialog('rename'); }}>Rename</button>
        <button class="danger" onClick=${remove}>Delete</button>`}`}
    ${dialog === 'save' && html`<${SaveDialog} kind=${kind} file=${file} question=${question} view=${state.view} files=${files} close=${() => setDialog('')}
      done=${(name) => { setDialog(''); set({ ...state, report: name }); files.again(); }} />`}
    ${dialog === 'rename' && html`<${Dialog} title="Rename the report" close=${() => setDialog('')} onSubmit=${() => title.trim() && put({ ...file.value, title: title.trim() }, 'Renamed.')}
      actions=${html`<button class="main">Rename</button>`}><${Text} label="Title" value=${title} set=${setTitle} maxlength="120"
      hint=${`The file stays reports/${file.name}.yaml, so that links to it and messages about it go on.`} /><//>`}`;
}
