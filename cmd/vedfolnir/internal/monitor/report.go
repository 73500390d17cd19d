package monitor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/vedfolnir/session"
)

// Metrics are the figures of this moment, as JSON and for the summary. Counts are
// since the server's start.
type Metrics struct {
	session.Metrics
	Requests      RequestMetrics     `json:"request_metrics"`
	Changes       map[string]uint64  `json:"change_metrics"` // by action
	Ends          map[string]uint64  `json:"end_metrics"`    // by reason
	Store         StoreMetrics       `json:"store_metrics"`
	Pool          session.PoolStatus `json:"pool_metrics"`
	UptimeSeconds int64              `json:"uptime_seconds"`
}

// RequestMetrics are those of HTTP.
type RequestMetrics struct {
	Total       uint64            `json:"total"`
	Failed      uint64            `json:"failed"` // answered with 500 or above
	MeanSeconds float64           `json:"mean_seconds"`
	Refusals    map[string]uint64 `json:"refusals"` // by error_code
}

// StoreMetrics are those of the store.
type StoreMetrics struct {
	Operations        uint64  `json:"operations"`
	Failures          uint64  `json:"failures"`
	MeanSeconds       float64 `json:"mean_seconds"`
	Commits           uint64  `json:"commits"`
	ChangesPerCommit  float64 `json:"changes_per_commit"`
	MeanCommitSeconds float64 `json:"mean_commit_seconds"`
}

// CurrentMetrics counts. The error is the store's, which could not say how many
// sessions live.
func (m *Monitor) CurrentMetrics(ctx context.Context, manager *session.Manager) (Metrics, error) {
	sessions, err := manager.Metrics(ctx)
	if err != nil {
		return Metrics{}, err
	}
	out := Metrics{Metrics: sessions, UptimeSeconds: int64(time.Since(m.started).Seconds())}
	if pool, err := manager.PoolStatus(); err == nil {
		out.Pool = pool
	}
	for _, c := range collect(m.requests) {
		n := uint64(c.GetCounter().GetValue())
		out.Requests.Total += n
		if strings.HasPrefix(label(c, "code"), "5") {
			out.Requests.Failed += n
		}
	}
	_, out.Requests.MeanSeconds = mean(collect(m.durations))
	out.Requests.Refusals = byLabel(m.refusals, "error_code")
	out.Changes = byLabel(m.changes, "action")
	out.Ends = byLabel(m.ends, "reason")
	out.Store.Operations, out.Store.MeanSeconds = mean(collect(m.operations))
	for _, c := range collect(m.failures) {
		out.Store.Failures += uint64(c.GetCounter().GetValue())
	}
	out.Store.Commits, out.Store.MeanCommitSeconds = mean(collect(m.commits))
	_, out.Store.ChangesPerCommit = mean(collect(m.batches))
	return out, nil
}

// PerformanceSummary is CurrentMetrics in a few lines, for a person.
func (m *Monitor) PerformanceSummary(ctx context.Context, manager *session.Manager) (string, error) {
	c, err := m.CurrentMetrics(ctx, manager)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`Up for %v.
Sessions: %d live, %d remembered by this node, %d event streams open.
Requests: %d answered in %.1f ms on average, %d failed, %d refused.
Sessions begun: %d; platforms switched: %d; sessions ended: %d.
Store: %d calls in %.2f ms on average, %d failed; %d commits in %.1f ms, of %.1f changes each.
`,
		time.Duration(c.UptimeSeconds)*time.Second,
		c.Sessions.ActiveSessions, c.Sessions.Snapshots, c.Sessions.Subscriptions,
		c.Requests.Total, c.Requests.MeanSeconds*1000, c.Requests.Failed, sum(c.Requests.Refusals),
		c.Changes["created"], c.Changes["platform_switched"], sum(c.Ends),
		c.Store.Operations, c.Store.MeanSeconds*1000, c.Store.Failures,
		c.Store.Commits, c.Store.MeanCommitSeconds*1000, c.Store.ChangesPerCommit), nil
}

// collect reads all series of a collector.
func collect(c prometheus.Collector) (series []*dto.Metric) {
	out := make(chan prometheus.Metric)
	go func() {
		c.Collect(out)
		close(out)
	}()
	for metric := range out {
		var d dto.Metric
		if err := metric.Write(&d); err == nil { // never fails for those of this package
			series = append(series, &d)
		}
	}
	return series
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func byLabel(c *prometheus.CounterVec, name string) map[string]uint64 {
	out := map[string]uint64{}
	for _, m := range collect(c) {
		out[label(m, name)] += uint64(m.GetCounter().GetValue())
	}
	return out
}

// mean of histograms, and how often they were observed; 0 for never.
func mean(series []*dto.Metric) (count uint64, value float64) {
	var sum float64
	for _, m := range series {
		count += m.GetHistogram().GetSampleCount()
		sum += m.GetHistogram().GetSampleSum()
	}
	if count == 0 {
		return 0, 0
	}
	return count, sum / float64(count)
}

func sum(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}
