// Package monitor counts what an operator watches. It looks on: a request or a
// change is never kept waiting for it, and nothing that it counts is a secret.
//
// Names and units follow the conventions of Prometheus; the values of every label
// come from a short list that is known beforehand, whatever strangers send.
package monitor

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessionhttp"
)

// countTimeout bounds the count of live sessions, which scans an index.
const countTimeout = 2 * time.Second

// Monitor of one server. Its methods are safe for concurrent use.
type Monitor struct {
	registry *prometheus.Registry
	started  time.Time

	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	refusals   *prometheus.CounterVec
	changes    *prometheus.CounterVec
	ends       *prometheus.CounterVec
	operations *prometheus.HistogramVec
	failures   *prometheus.CounterVec
	commits    prometheus.Histogram
	batches    prometheus.Histogram
	messages   *prometheus.CounterVec
}

// New returns a monitor that has counted nothing yet.
func New() *Monitor {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "vedfolnir", Name: name, Help: help}, labels)
	}
	seconds := prometheus.ExponentialBuckets(0.00025, 2, 14) // 0.25 ms to 2 s
	m := &Monitor{
		registry: prometheus.NewRegistry(), started: time.Now(),
		requests:   counter("http_requests_total", "Requests that were answered.", "route", "method", "code"),
		durations:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "vedfolnir", Name: "http_request_duration_seconds", Help: "How long answers took, without event streams.", Buckets: seconds}, []string{"route"}),
		refusals:   counter("http_refusals_total", "Requests that were refused, by the error_code of the answer.", "error_code"),
		changes:    counter("session_changes_total", "What happened to sessions, as in the audit.", "action"),
		ends:       counter("session_ends_total", "Sessions that ended, by why.", "reason"),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "vedfolnir", Name: "store_operation_duration_seconds", Help: "How long the store took; changes is the feed.", Buckets: seconds}, []string{"operation"}),
		failures:   counter("store_failures_total", "Calls that the store could not answer.", "operation"),
		commits:    prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vedfolnir", Name: "store_commit_duration_seconds", Help: "How long commits took.", Buckets: seconds}),
		batches:    prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vedfolnir", Name: "store_commit_changes", Help: "How many changes went into one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 9)}),
	}
	m.messages = counter("webhook_attempts_total", "Attempts to deliver a message of the webhook, by what became of them.", "outcome")
	m.registry.MustRegister(m.requests, m.durations, m.refusals, m.changes, m.ends, m.operations, m.failures, m.commits, m.batches, m.messages,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Watch adds what the manager can be asked for when somebody looks, and how many
// messages wait for the webhook.
func (m *Monitor) Watch(manager *session.Manager, waiting func(context.Context) (int, error)) {
	m.registry.MustRegister(state{manager, waiting})
}

// Sent counts an attempt to deliver a message, by its outcome.
func (m *Monitor) Sent(outcome string) { m.messages.WithLabelValues(outcome).Inc() }

// Metrics serves the figures in Prometheus's format.
func (m *Monitor) Metrics() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Refused counts a refusal.
func (m *Monitor) Refused(_ *http.Request, p sessionhttp.Problem) {
	m.refusals.WithLabelValues(p.Code).Inc()
}

// Committed counts a commit of the store.
func (m *Monitor) Committed(changes int, took time.Duration) {
	m.batches.Observe(float64(changes))
	m.commits.Observe(took.Seconds())
}

// Audit counts events and hands them on.
func (m *Monitor) Audit(next session.Auditor) session.Auditor { return counting{m, next} }

type counting struct {
	m    *Monitor
	next session.Auditor
}

func (c counting) Audit(ctx context.Context, e session.AuditEvent) {
	c.m.changes.WithLabelValues(e.Action).Inc()
	if e.Action == "ended" {
		c.m.ends.WithLabelValues(string(e.Reason)).Inc()
	}
	c.next.Audit(ctx, e)
}

// state is asked for when somebody looks.
type state struct {
	manager *session.Manager
	waiting func(context.Context) (int, error)
}

var (
	liveSessions = prometheus.NewDesc("vedfolnir_sessions_live", "Live sessions in the store.", nil, nil)
	openStreams  = prometheus.NewDesc("vedfolnir_streams_open", "Event streams that are open on this node.", nil, nil)
	messages     = prometheus.NewDesc("vedfolnir_webhook_waiting", "Messages that wait for the webhook, in the database.", nil, nil)
	snapshots    = prometheus.NewDesc("vedfolnir_snapshots", "Sessions that this node remembers.", nil, nil)
)

func (state) Describe(out chan<- *prometheus.Desc) {
	out <- liveSessions
	out <- openStreams
	out <- snapshots
	out <- messages
}

func (s state) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	metrics, err := s.manager.Metrics(ctx)
	if err != nil { // the store is away, which its failures tell; the rest is still wanted
		return
	}
	gauge := func(d *prometheus.Desc, n int) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	gauge(liveSessions, metrics.Sessions.ActiveSessions)
	gauge(openStreams, metrics.Sessions.Subscriptions)
	gauge(snapshots, metrics.Sessions.Snapshots)
	if n, err := s.waiting(ctx); err == nil {
		gauge(messages, n)
	}
}
