// What a page gains by script; without it everything works, one page load later.
// The session client fills the elements with data-session attributes; this keeps
// the rest of the page in step with it.
(() => {
  'use strict';

  // --- messages, also for the session client's errors ---

  const toasts = document.querySelector('[data-toasts]');

  function showNotification(message, type = 'info', action) {
    const toast = document.createElement('div');
    toast.className = 'toast';
    toast.dataset.type = type;
    toast.append(Object.assign(document.createElement('p'), { textContent: message }));
    const close = () => toast.remove();
    if (action) {
      const button = Object.assign(document.createElement('button'), { type: 'button', textContent: action.text });
      button.addEventListener('click', () => { close(); action.run(); });
      toast.append(button);
    } else {
      setTimeout(close, 6000);
    }
    toasts.replaceChildren(...[...toasts.children].slice(-2), toast);
  }
  window.errorHandler ??= { showNotification };

  // --- times in the reader's own zone, and by now ---

  const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
  const dayAndClock = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

  function local(date) {
    const today = date.toDateString() === new Date().toDateString();
    return (today ? clock : dayAndClock).format(date);
  }

  function span(minutes) {
    const days = Math.floor(minutes / 1440);
    const hours = Math.floor(minutes / 60) % 24;
    if (days >= 2) return hours ? `${days} days ${hours} h` : `${days} days`;
    const allHours = days * 24 + hours;
    if (!allHours) return `${minutes} min`;
    return minutes % 60 ? `${allHours} h ${minutes % 60} min` : `${allHours} h`;
  }

  function relative(ms) {
    const minutes = Math.floor(Math.abs(ms) / 60000);
    if (!minutes) return ms > 0 ? 'in less than a minute' : 'just now';
    return ms > 0 ? `in ${span(minutes)}` : `${span(minutes)} ago`;
  }

  function showTimes() {
    for (const time of document.querySelectorAll('time')) {
      const date = new Date(time.dateTime);
      const text = 'clock' in time.dataset ? local(date) : relative(date - Date.now());
      if (time.textContent !== text) time.textContent = text;
      time.title = date.toLocaleString();
    }
  }
  showTimes();
  setInterval(showTimes, 20000);

  // --- the parts of the page, when something of the session or the person changed ---

  const stampOf = (page) => page.querySelector('[data-stamp]')?.dataset.stamp;
  let wanted = stampOf(document);
  let timer;

  function replace(part, fresh) {
    const held = part.contains(document.activeElement) && document.activeElement;
    part.replaceWith(fresh);
    if (!held) return;
    const name = (element) => element.getAttribute('aria-label') ?? element.getAttribute('href') ?? element.textContent;
    const heir = [...fresh.querySelectorAll(held.tagName)].find((element) => name(element) === name(held));
    (heir || document.getElementById('main')).focus();
  }

  // What the server rendered is the session's; a pinned tab shows its own platform.
  function showOwn(part) {
    const platform = window.sessionSync?.getSnapshot().state?.platform;
    if (!platform) return;
    for (const [name, text] of [['', platform.name], ['-type', platform.type], ['-url', platform.instance_url]]) {
      for (const element of part.querySelectorAll(`[data-session-platform${name}]`)) element.textContent = text;
    }
    markCurrent(part, platform.id);
    showPins(part);
  }

  function markCurrent(part, id) {
    for (const item of part.querySelectorAll('[data-platform-id]')) {
      if (item.dataset.platformId === String(id)) item.setAttribute('aria-current', 'true');
      else item.removeAttribute('aria-current');
    }
  }

  // Only a script can pin.
  const showPins = (part) => part.querySelectorAll('[data-pin]').forEach((pin) => { pin.hidden = false; });
  if (window.sessionSync) showPins(document);

  async function refresh() {
    if (!wanted || wanted === stampOf(document) || document.visibilityState === 'hidden') return;
    const answer = await fetch(location.pathname, { headers: { Accept: 'text/html' } }).catch(() => undefined);
    if (!answer?.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (!stampOf(page)) return;
    // The page may be from before or after what this tab has heard; what a tab
    // shows must be what it acts as.
    if (stampOf(page) !== wanted) return refreshSoon(1000);
    for (const part of document.querySelectorAll('[data-part]')) {
      const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!fresh) continue;
      showOwn(fresh);
      replace(part, document.adoptNode(fresh));
    }
    showTimes();
  }

  function refreshSoon(delay = 150) {
    clearTimeout(timer);
    timer = setTimeout(refresh, delay);
  }

  if (stampOf(document)) {
    window.addEventListener('sessionStateChanged', ({ detail }) => {
      wanted = detail?.stamp ?? wanted;
      refreshSoon();
    });
    document.addEventListener('visibilitychange', () => refreshSoon());
  }

  // --- the platform and the end, at once ---

  // The form would do the same, with a new page.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.getAttribute('action') !== '/switch' || !window.sessionSync?.isInitialized) return;
    event.preventDefault();
    const name = form.querySelector('[data-session-name]')?.dataset.sessionName;
    window.sessionSync.switchPlatform(form.elements.to.value, name).catch(({ name: kind, message }) => {
      // A form shows what went wrong on a page of its own; a refusal has been read already.
      if (kind === 'SessionRefusedError') showNotification(message, 'error');
      else form.submit();
    });
  });

  // What may want a fresh proof of who the person is asks for it in the page, by the client's
  // dialog. The form by itself leads to a page that does, and back; so it does for people who
  // have nothing that a dialog could ask for.
  document.addEventListener('submit', async (event) => {
    const form = event.target;
    if (!('confirm' in form.dataset) || 'noDialog' in document.body.dataset || !window.sessionSync?.isInitialized) return;
    event.preventDefault();
    try {
      const answer = await window.sessionSync.fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) });
      if (answer.ok) return location.assign(answer.url);
      const { error, error_code: code } = await answer.json();
      if (code !== 'REAUTH_REQUIRED') showNotification(error, 'error');
    } catch {
      form.submit();
    }
  });

  window.addEventListener('platformSwitched', ({ detail }) => {
    markCurrent(document, detail.platformId);
    document.title = `${detail.platformName} – Vedfolnir`;
    showNotification(`You are now acting as ${detail.platformName}.`);
  });

  // --- the client from inside, at ?debug ---

  const client = document.querySelector('script[data-auto]');
  if (client && new URLSearchParams(location.search).has('debug')) {
    import(new URL('session-debug.js', client.src).href)
      .then(() => document.body.append(document.createElement('vedfolnir-debug')))
      .catch(() => showNotification('The panel could not be loaded.', 'error'));
  }
})();
