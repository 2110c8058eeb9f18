// sources.js - who may send events: write keys, what to paste where, and whether it arrives
import { html, useState, useEffect, useGet, send, plural, ago, canEdit } from './api.js';
import { Title, State, Switch, Dialog, Text, Choices, Code, Empty, toast } from './parts.js';

// What to paste, by language. u: where collect listens; k: the write key.
const SNIPPETS = {
  'Web page': (u, k) => `<script>
(() => {
  const a = window.analytics = [];
  a.methods = ['track', 'identify', 'page', 'group', 'alias', 'reset'];
  a.methods.forEach((m) => { a[m] = (...args) => a.push([m, ...args]); });
  Object.assign(a, { _writeKey: '${k}', _cdn: '${u}', _loadOptions: {}, SNIPPET_VERSION: '5.2.1' });
  document.head.append(Object.assign(document.createElement('script'),
    { async: true, src: '${u}/analytics.js/v1/${k}/analytics.min.js' }));
  a.page();
})();
</script>`,
  'npm, browser': (u, k) => `import { AnalyticsBrowser } from '@segment/analytics-next';

const analytics = AnalyticsBrowser.load({ writeKey: '${k}', cdnURL: '${u}' }, {
  integrations: { 'Segment.io': { apiHost: '${u.split('//')[1]}/v1', protocol: '${u.split(':')[0]}' } },
});
analytics.track('Signed Up', { plan: 'pro' });`,
  'Node.js': (u, k) => `import { Analytics } from '@segment/analytics-node';

const analytics = new Analytics({ writeKey: '${k}', host: '${u}' });
analytics.track({ userId: 'user-1', event: 'Signed Up', properties: { plan: 'pro' } });
await analytics.closeAndFlush();`,
  Python: (u, k) => `# pip install segment-analytics-python
import segment.analytics as analytics

analytics.write_key = '${k}'
analytics.host = '${u}'
analytics.track('user-1', 'Signed Up', {'plan': 'pro'})
analytics.flush()`,
  Go: (u, k) => `// go get github.com/segmentio/analytics-go/v3
client, _ := analytics.NewWithConfig("${k}", analytics.Config{Endpoint: "${u}"})
client.Enqueue(analytics.Track{UserId: "user-1", Event: "Signed Up",
	Properties: analytics.NewProperties().Set("plan", "pro")})
client.Close()`,
  curl: (u, k) => `curl -u ${k}: ${u}/v1/track -d '{"userId":"user-1","event":"Signed Up","properties":{"plan":"pro"}}'`,
};

// Other machines do not know this one as 127.0.0.1.
export function address(url) {
  try {
    const u = new URL(url);
    if (['0.0.0.0', '[::]'].includes(u.hostname)) u.hostname = location.hostname;
    return u.origin;
  } catch { return url; }
}

// The latest event of the source, as it arrives.
function Arriving({ name }) {
  const [rows, setRows] = useState([]);
  const [live, setLive] = useState(false);
  useEffect(() => {
    const stream = new EventSource(`/api/live?where=${encodeURIComponent(`source:${name}`)}`);
    stream.onopen = () => setLive(true);
    stream.onerror = () => setLive(false);
    stream.onmessage = (m) => setRows((old) => [{ ...JSON.parse(m.data), seen: new Date().toISOString() }, ...old].slice(0, 3));
    return () => stream.close();
  }, [name]);
  if (!rows.length) return html`<p role="status" class="soft">${live ? `Waiting for the first event of ${name}…` : 'Connecting…'}</p>`;
  return html`<p role="status" class="good">Events arrive.</p><ul class="feed" aria-label="Latest events">${rows.map((r) => html`
    <li key=${r.id}><b>${r.event}</b> of ${r.user_id || r.anonymous_id} <span class="soft">${ago(r.received_at || r.timestamp)}</span></li>`)}</ul>`;
}

function One({ source, collect, bundle, tell, me }) {
  const [show, setShow] = useState(false);
  const [way, setWay] = useState('Web page');
  const key = source.keys[0] || '';
  const isFile = key.startsWith('file:');
  const copy = () => navigator.clipboard.writeText(key).then(() => toast('Copied.'), () => setShow(true));
  const turn = (on) => send('POST', `/api/sources/${source.name}/${on ? 'enable' : 'disable'}`)
    .then(() => toast(on ? `${source.name} is taken in again.` : `${source.name} is off: its events are not kept.`)).catch((e) => toast(e.message, true)).finally(tell);
  return html`<section class="card" aria-label=${source.name}>
    <div class="row"><${Switch} label=${source.name} on=${source.enabled} set=${turn} /><span class="grow"></span>
      <code>${isFile ? `in the file ${key.slice(5)}` : show ? key : `${key.slice(0, 4)}${'•'.repeat(8)}`}</code>
      ${!isFile && html`<button class="quiet" aria-label=${`${show ? 'Hide' : 'Show'} the write key of ${source.name}`} onClick=${() => setShow(!show)}>${show ? 'Hide' : 'Show'}</button>
      <button class="quiet" aria-label=${`Copy the write key of ${source.name}`} onClick=${copy}>Copy</button>`}</div>
    ${source.keys.length > 1 && html`<p class="soft small">and ${plural(source.keys.length - 1, 'more key')}</p>`}
    ${source.origins.length > 0 && html`<p class="soft small">only from ${source.origins.join(', ')}</p>`}
    <details><summary>How to send events</summary><div class="stack">
      <div class="row"><${Choices} label="Language" value=${way} set=${setWay} options=${Object.keys(SNIPPETS)} /></div>
      ${way === 'Web page' && !bundle && html`<p class="note">This snippet does not work yet: collect has no analytics.min.js to serve. Run <code>npm install @segment/analytics-next</code>, add to millrace.yaml
        <code>collect: {analytics_js: node_modules/@segment/analytics-next/dist/umd/standalone.js}</code>, and start again.</p>`}
      <${Code} label=${`Snippet: ${way}`} text=${SNIPPETS[way](address(collect), isFile ? 'YOUR_WRITE_KEY' : key)} />
      ${me.live && source.enabled && html`<${Arriving} name=${source.name} />`}</div></details></section>`;
}

export default function Sources({ me }) {
  const state = useGet(canEdit() ? '/api/sources' : null);
  const [name, setName] = useState(null);
  const [error, setError] = useState('');
  const create = () => send('POST', '/api/sources', { name: name.trim() })
    .then(() => { setName(null); toast(`${name} may send now.`); state.again(); }).catch((e) => setError(e.message));
  const add = canEdit() && html`<button class="main" onClick=${() => { setName(''); setError(''); }}>Add a source</button>`;
  if (!canEdit()) return html`<${Title} title="Sources" /><${Empty} title="For editors"><p>Whoever has a write key can send events, so only editors see them.</p><//>`;
  return html`<${Title} title="Sources">${add}<//>
    <p class="soft">A source is a site, an app or a server that sends events, with a write key of its own.</p>
    <${State} state=${state}>${(a) => html`${a.error && html`<p class="note bad" role="alert">${a.error}</p>`}
      ${a.sources.map((source) => html`<${One} key=${source.name} source=${source} collect=${a.collect} bundle=${a.bundle} tell=${state.again} me=${me} />`)}
      ${!a.sources.length && !a.error && html`<${Empty} title="Nobody may send yet"><p>Add a source to get a write key.</p>${add}<//>`}`}<//>
    ${name !== null && html`<${Dialog} title="Add a source" close=${() => setName(null)} onSubmit=${create} actions=${html`
      <button type="button" onClick=${() => setName(null)}>Cancel</button><button class="main">Create its write key</button>`}>
      <${Text} label="Name" value=${name} set=${setName} error=${error} required hint="Small letters, digits, - and _: web, ios-app, backend." /><//>`}`;
}
