// What the page of recovery codes gains by script: to print them, and to copy them.
(() => {
  'use strict';

  const tools = document.querySelector('[data-paper]');
  const said = tools.querySelector('[data-copied]');
  const codes = () => [...document.querySelectorAll('[data-codes] code')].map((code) => code.textContent).join('\n') + '\n';

  tools.querySelector('[data-print]').addEventListener('click', () => print());
  tools.querySelector('[data-copy]').addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(codes());
      said.textContent = 'Copied.';
    } catch {
      said.textContent = 'The browser does not let this page copy: select them instead.';
    }
  });
  tools.hidden = false;
})();
