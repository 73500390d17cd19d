// The specification's JavaScript in a real page of this origin, in its order, as it
// is written. Where a snippet speaks of something that is the page's own, the page
// below has it: updatePlatformUI, platformId and platformName, debounce, and 123 is
// the id of a platform that exists.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { browser, Server, signIn, until } from '../harness.mjs';

let chromium, server;
before(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start()]);
});

const SNIPPETS = [
  ['asking for the state', `
fetch('/api/session_state', {
    method: 'GET',
    headers: {
        'Content-Type': 'application/json',
        'X-Requested-With': 'XMLHttpRequest'
    },
    credentials: 'same-origin'
})
.then(response => response.json())
.then(data => {
    if (data.success) {
        console.log('Current platform:', data.platform.name);
        console.log('Session type:', data.session_type);
    }
});`],
  ['SessionSync', `
// Initialize session sync
const sessionSync = new SessionSync();
sessionSync.init();

// Listen for session state changes
window.addEventListener('sessionStateChanged', function(event) {
    const sessionState = event.detail;
    console.log('Session state updated:', sessionState);
    
    // Update UI based on new session state
    updatePlatformUI(sessionState.platform);
});

// Listen for platform switches
window.addEventListener('platformSwitched', function(event) {
    const switchEvent = event.detail;
    console.log('Platform switched to:', switchEvent.platformName);
});

// Listen for session expiration
window.addEventListener('sessionExpired', function(event) {
    console.log('Session expired, redirecting to login');
    // Handle session expiration
});`],
  ['syncing by hand', `
// Manually trigger session sync
if (window.sessionSync) {
    window.sessionSync.syncSessionState();
}

// Validate session
if (window.sessionSync) {
    window.sessionSync.validateSession();
}

// Broadcast platform switch to other tabs
if (window.sessionSync) {
    window.sessionSync.notifyPlatformSwitch(platformId, platformName);
}`],
  ['the CSRF token', `
// Get CSRF token
function getCSRFToken() {
    const token = document.querySelector('meta[name="csrf-token"]');
    return token ? token.getAttribute('content') : '';
}

// Include CSRF token in requests
fetch('/api/switch_platform/123', {
    method: 'POST',
    headers: {
        'Content-Type': 'application/json',
        'X-CSRFToken': getCSRFToken()
    },
    credentials: 'same-origin'
});`],
  ['performance', `
// Debounced session sync to prevent excessive API calls
const debouncedSync = debounce(() => {
    if (window.sessionSync) {
        window.sessionSync.syncSessionState();
    }
}, 1000);

// Use debounced sync for frequent events
window.addEventListener('focus', debouncedSync);
window.addEventListener('visibilitychange', debouncedSync);

// Performance metrics
const metrics = window.sessionSync.getPerformanceMetrics();
console.log('Session sync performance:', {
    syncCount: metrics.syncCount,
    errorRate: metrics.errorRate,
    avgSyncTime: metrics.avgSyncTime
});`],
  ['debugging', `
// Enable debug mode
window.sessionSync.debugMode = true;

// Get session sync status
const status = {
    isInitialized: window.sessionSync.isInitialized,
    isOnline: window.sessionSync.isOnline,
    tabId: window.sessionSync.getTabId(),
    lastSyncTime: window.sessionSync.lastSyncTime,
    performanceMetrics: window.sessionSync.getPerformanceMetrics()
};

console.log('Session sync status:', status);

// Monitor storage events
window.addEventListener('storage', function(event) {
    if (event.key && event.key.startsWith('vedfolnir_')) {
        console.log('Storage event:', event.key, event.newValue);
    }
});`],
];

test("the specification's snippets run as written, one after the other, in one page", async () => {
  const context = await chromium.newContext();
  const home = await signIn(context, server);
  const { platforms } = await home.evaluate(() => fetch('/api/user_platforms').then((r) => r.json()));
  const work = platforms.find((p) => p.name === 'Work');
  const { csrf_token } = await home.evaluate(() => fetch('/api/csrf').then((r) => r.json()));
  await home.close();

  const scripts = SNIPPETS.map(([, code]) => code.replace('/api/switch_platform/123', `/api/switch_platform/${work.id}`));
  await context.route('**/as-specified', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<!doctype html><meta name="csrf-token" content="${csrf_token}"><title>As specified</title>
      <script src="/session-sync.js"></script>
      <script>function updatePlatformUI(platform) { document.title = platform.name } let platformId = ${work.id}, platformName = 'Work'</script>
      ${scripts.map((code) => `<script>${code}</script>`).join('\n')}`,
  }));
  const tab = await context.newPage();
  const said = [], thrown = [];
  tab.on('console', (message) => said.push(message.text()));
  tab.on('pageerror', (error) => thrown.push(error.message));
  await tab.goto(`${server.url}/as-specified`);
  await tab.waitForFunction(() => document.title === 'Work');

  // The first answer may come before or after the switch that a later snippet makes.
  for (const want of ['Current platform: ', 'Session type: integrated', 'Session state updated:', 'Session sync performance:', 'Session sync status:']) {
    await until(() => said.some((text) => text.startsWith(want)), () => `nothing said "${want}":\n${said.join('\n')}\n${thrown.join('\n')}`);
  }
  assert.deepEqual(thrown, []);
  assert.equal(await tab.evaluate(() => window.sessionSync.isInitialized), true);
  await context.close();
});
