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
});
