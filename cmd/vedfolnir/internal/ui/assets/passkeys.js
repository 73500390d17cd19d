// Signing in with a passkey, and adding one. What moves bytes in and out of JSON is
// done here and not by the browser's own parse…FromJSON and toJSON, which some
// browsers and password managers do not have.
(() => {
  'use strict';

  const part = document.querySelector('[data-passkey]');
  if (!part) return;
  if (!window.PublicKeyCredential || !navigator.credentials) {
    const none = document.querySelector('[data-no-passkeys]');
    if (none) none.hidden = false;
    return;
  }
  for (const shown of document.querySelectorAll('[data-passkey], [data-or]')) shown.hidden = false;
  const button = part.querySelector('button');
  const problem = document.querySelector('[data-passkey-problem]');

  // --- bytes ---

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  const withIds = (list = []) => list.map((one) => ({ ...one, id: bytes(one.id) }));

  const toCreate = (o) => ({
    ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: withIds(o.excludeCredentials),
  });
  const toGet = (o) => ({ ...o, challenge: bytes(o.challenge), allowCredentials: withIds(o.allowCredentials) });

  function fromCredential({ rawId, type, response, authenticatorAttachment }) {
    const sent = { clientDataJSON: text(response.clientDataJSON) };
    for (const name of ['attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
      if (response[name]) sent[name] = text(response[name]);
    }
    if (response.getTransports) sent.transports = response.getTransports();
    return { id: text(rawId), rawId: text(rawId), type, response: sent, authenticatorAttachment, clientExtensionResults: {} };
  }

  // --- the server ---

  // A person's own requests go the client's way, which asks again who they are where
  // that is needed, and renews the token of an old page.
  async function post(path, body = {}) {
    const send = window.sessionSync?.isInitialized ? (...args) => window.sessionSync.fetch(...args) : fetch;
    const answer = await send(path, {
      method: 'POST', body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', 'X-CSRFToken': document.querySelector('[name=csrf_token]').value },
    });
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.error), { code: said.error_code });
    return said;
  }

  // --- what went wrong, in words ---

  const refused = {
    INVALID_CREDENTIALS: 'This passkey is not known here, or it took too long. Try again, or sign in another way.',
    CONFLICT: 'That passkey is here already, or it took too long. Try again.',
    LIMIT_REACHED: 'You have as many passkeys as there may be. Remove one that you do not use.',
  };
  const hindered = {
    NotAllowedError: 'No passkey was used: it was cancelled, or took too long. Try again when you are ready.',
    InvalidStateError: 'This device or password manager has a passkey of yours already.',
    SecurityError: 'Passkeys do not work at this address.',
    NotSupportedError: 'This device cannot keep a passkey for this page.',
    ConstraintError: 'This device cannot ask for your fingerprint, face or PIN, which a passkey here needs.',
    TypeError: 'The server could not be reached. Try again in a moment.',
  };

  function show(error) {
    if (error.name === 'AbortError') return; // another attempt took its place
    problem.textContent = refused[error.code] ?? hindered[error.name] ?? error.message;
    problem.hidden = false;
  }

  // One attempt at a time: a browser asks for one passkey only.
  let running;
  function instead() {
    running?.abort();
    running = new AbortController();
    return running;
  }

  // --- adding one ---

  async function register() {
    problem.hidden = true;
    const { publicKey } = await post('/api/passkeys/options');
    const credential = await navigator.credentials.create({ publicKey: toCreate(publicKey), signal: instead().signal });
    await post('/api/passkeys', { passkey: fromCredential(credential) });
    location.assign('/passkeys?done=passkey-added');
  }

  // --- proving anew, on the page that asks for it; the client's dialog does so by itself ---

  async function prove() {
    problem.hidden = true;
    const { passkey } = await post('/api/session/reauth/options');
    const credential = await navigator.credentials.get({ publicKey: toGet(passkey), signal: instead().signal });
    await post('/api/session/reauth', { passkey: fromCredential(credential) });
    location.assign(part.dataset.next);
  }

  // --- signing in ---

  async function signIn(extra = {}, attempt = instead()) {
    const { publicKey } = await post('/api/passkeys/sign_in/options');
    if (attempt.signal.aborted) return;
    const credential = await navigator.credentials.get({ publicKey: toGet(publicKey), signal: attempt.signal, ...extra });
    problem.hidden = true;
    const remember = document.querySelector('[name=remember][type=checkbox]')?.checked;
    const { next } = await post('/api/passkeys/sign_in', { passkey: fromCredential(credential), next: part.dataset.next, remember });
    location.assign(next);
  }

  // Passkeys among what the browser offers for the name: it waits as long as the page
  // is open, and so with a new challenge before the old one is too old.
  const CHALLENGE_MS = 4 * 60 * 1000;
  const seen = () => document.visibilityState === 'visible'
    || new Promise((resolve) => { document.addEventListener('visibilitychange', resolve, { once: true }); });

  async function offer() {
    if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
    for (let failures = 0; failures < 3 && (!running || running.offered);) {
      await seen();
      const attempt = Object.assign(instead(), { offered: true });
      const renew = setTimeout(() => attempt.abort(), CHALLENGE_MS);
      try {
        await signIn({ mediation: 'conditional' }, attempt);
        return;
      } catch (error) {
        show(error);
        if (error.name !== 'AbortError') failures++;
      } finally {
        clearTimeout(renew);
      }
    }
  }

  async function act(what) {
    button.disabled = true;
    try {
      await what();
      return true;
    } catch (error) {
      show(error);
      return false;
    } finally {
      button.disabled = false;
    }
  }

  const acts = { register, prove };
  if (part.dataset.passkey in acts) {
    button.addEventListener('click', () => act(acts[part.dataset.passkey]));
  } else {
    button.addEventListener('click', async () => {
      problem.hidden = true;
      if (await act(() => signIn())) return;
      running = undefined;
      offer();
    });
    offer();
  }
})();
