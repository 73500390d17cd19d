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
});
