package server

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

// changeable are the keys of the settings that a server takes while it serves.
// What any other says anew counts after a restart.
var changeable = []string{"log_level", "tls_cert", "tls_key", "audit_days", "notice_days"}

// current are those settings as they are just now. It is safe for concurrent use.
type current struct {
	level       *slog.LevelVar
	auditKept   atomic.Int64                    // a [time.Duration]
	noticesKept atomic.Int64                    // a [time.Duration]
	certificate atomic.Pointer[tls.Certificate] // nil: no TLS
}

func (c *current) take(s config.Settings) {
	c.level.Set(s.LogLevel)
	c.auditKept.Store(int64(s.AuditKept))
	c.noticesKept.Store(int64(s.NoticesKept))
	if s.TLS != nil {
		c.certificate.Store(&s.TLS.Certificates[0])
	}
}

func (c *current) keepAudit() time.Duration { return time.Duration(c.auditKept.Load()) }

func (c *current) keepNotices() time.Duration { return time.Duration(c.noticesKept.Load()) }

// serverTLS is start with the certificate of the moment; nil without TLS.
func (c *current) serverTLS(start *tls.Config) *tls.Config {
	if start == nil {
		return nil
	}
	config := start.Clone()
	config.Certificates = nil
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.certificate.Load(), nil }
	return config
}

// reload takes the settings anew whenever that is asked for, until there is nobody
// left to ask. A mistake in them leaves everything as it was.
func (a *App) reload(start config.Settings, asked <-chan os.Signal, again func() (config.Settings, error)) {
	for range asked {
		s, err := again()
		if err != nil {
			a.log.Error("the settings were read again, and none of them taken: mend them and send SIGHUP once more", "error", err)
			continue
		}
		a.current.take(s)
		a.log.Info("the settings were read again; the log level, the certificate, and how long the audit and notices are kept are as they say", "log_level", s.LogLevel)
		if waiting := a.needRestart(start, s); len(waiting) > 0 {
			a.log.Warn("other settings were changed too: they count after a restart", "settings", waiting)
		}
	}
}

// needRestart names the settings that are not as the server was started with and
// that it cannot take while it serves.
func (a *App) needRestart(start, now config.Settings) (names []string) {
	for i, v := range now.Values {
		if v.Text != start.Values[i].Text && !slices.Contains(changeable, v.Key) {
			names = append(names, v.Key)
		}
	}
	if (start.TLS == nil) != (now.TLS == nil) {
		names = append(names, "tls_cert")
	}
	if !slices.EqualFunc(a.keys, now.Keys, bytes.Equal) && !slices.Contains(names, "keys") {
		names = append(names, "keys")
	}
	return names
}
