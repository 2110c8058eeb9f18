// home.js - the board of saved reports
import { html } from './api.js';
import { Empty, Title } from './parts.js';

export default function Home() {
  return html`<${Title} title="Home" /><${Empty} title="Nothing saved yet"><p>Ask something, and save it here.</p>
    <a class="button main" href="#/segmentation">See what happens</a><//>`;
}
