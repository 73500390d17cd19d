// What this tab hears of its session, from whom, and how soon: the newest first.
// The tab in which a switch is clicked tells the others when that was, so that
// each can say how long it took to get there.
(() => {
  'use strict';

  const section = document.querySelector('[data-timeline]');
  const list = section?.querySelector('ol');
  const sync = window.sessionSync;
  if (!list || !sync?.onMessage) return;

  const LENGTH = 12;
  const KINDS = {
    state: 'the state of the session', sessions_changed: 'another session began or ended', expiring: 'the end is near',
    ended: 'the session has ended', hint: 'a switch is on its way', active: 'somebody is active', heartbeat: 'somebody is active, so there is more time',
  };
  const SOURCES = {
    stream: 'from the server’s stream', channel: 'from another tab', fetch: 'by asking the server', local: 'in this tab',
  };

  let click;
  let source = 'fetch';
  const now = () => performance.timeOrigin + performance.now();
  const channel = 'BroadcastChannel' in window ? new BroadcastChannel('vedfolnir_timeline') : undefined;
  channel?.addEventListener('message', ({ data }) => { click = { at: data.at, where: 'another tab' }; });

  document.addEventListener('submit', ({ target }) => {
    if (target.getAttribute('action') !== '/switch') return;
    click = { at: now(), where: 'this tab' };
    channel?.postMessage({ at: click.at });
  }, true);

  function element(name, text, className = '') {
    return Object.assign(document.createElement(name), { textContent: text, className });
  }

  function add(text, delay = '') {
    const at = new Date();
    const time = element('span', `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, '0')}`, 'at');
    const line = document.createElement('li');
    line.append(time, element('span', text, 'what'), element('span', delay, 'delay'));
    list.prepend(line);
    while (list.children.length > LENGTH) list.lastElementChild.remove();
    section.hidden = false;
  }

  sync.onMessage((heard) => {
    source = heard.source;
    // A switch is told below, with its name; a poll that finds nothing new is no news.
    if (heard.kind === 'unchanged' || heard.kind === 'platform_switched') return;
    const delay = heard.sentAt === undefined ? '' : `${Math.max(0, heard.at - heard.sentAt)} ms after it`;
    add(`${SOURCES[heard.source]}: ${KINDS[heard.kind] ?? heard.kind}`, delay);
  });

  window.addEventListener('platformSwitched', ({ detail }) => {
    const fresh = click && now() - click.at < 10000;
    add(`${SOURCES[source]}: switched to ${detail.platformName}`, fresh ? `${(now() - click.at).toFixed(1)} ms after the click in ${click.where}` : '');
  });
})();
