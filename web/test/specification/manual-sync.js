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
}
