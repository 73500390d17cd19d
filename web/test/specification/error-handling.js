class SessionErrorHandler {
    static handleSessionError(error, context) {
        console.error('Session error:', error, context);
        
        if (error.message.includes('expired')) {
            // Handle session expiration
            this.handleSessionExpired();
        } else if (error.message.includes('network')) {
            // Handle network errors
            this.handleNetworkError();
        } else {
            // Handle general errors
            this.showErrorNotification(error.message);
        }
    }
    
    static handleSessionExpired() {
        // Clear local session data
        localStorage.removeItem('vedfolnir_session_state');
        
        // Redirect to login
        window.location.href = '/login';
    }
    
    static handleNetworkError() {
        // Show offline notification
        this.showErrorNotification('Network error. Please check your connection.', 'warning');
    }
    
    static showErrorNotification(message, type = 'error') {
        // Show user-friendly notification
        if (window.errorHandler) {
            window.errorHandler.showNotification(message, type);
        }
    }
}

// Use error handler in session sync
window.addEventListener('error', function(event) {
    if (event.error && event.error.context === 'session') {
        SessionErrorHandler.handleSessionError(event.error, event.error.context);
    }
});
