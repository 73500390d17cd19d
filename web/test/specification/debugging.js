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
});
