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
});
