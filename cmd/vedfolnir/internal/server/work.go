package server

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// work counts requests under way, streams apart.
type work struct{ underWay atomic.Int64 }

func (k *work) count(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !isStream(r) {
		k.underWay.Add(1)
		defer k.underWay.Add(-1)
	}
	next.ServeHTTP(w, r)
}

// finish waits until nothing is under way.
func (k *work) finish(ctx context.Context) {
	for k.underWay.Load() > 0 {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}
