package cli

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// exitUnwell is doctor's own: it did its work, and there is a problem.
const exitUnwell = 4

// unwell says that there are problems, which have been told.
type unwell int

func (u unwell) Error() string { return count(int(u), "problem") + " found" }

type doctorCommand struct {
	URL string `name:"url" placeholder:"https://..." help:"Where people reach the server: looks at what the proxy in front makes of it."`
	listing
}

func (doctorCommand) Help() string {
	return `It looks at settings, keys, database, disk, limits and clock of this machine, and with --url at what arrives through the proxy. It changes nothing. It exits with 4 if there is a problem; a note alone is none.

Examples:

  vedfolnir doctor
  vedfolnir doctor --config /etc/vedfolnir/vedfolnir.toml --url https://sessions.example.org`
}

// finding is one thing that is not as it should be.
type finding struct {
	Code    string `json:"code"`
	Problem bool   `json:"problem"` // false: a note
	What    string `json:"what"`
	Fix     string `json:"fix"`
}

// doctor gathers findings.
type doctor struct {
	findings []finding
	looked   []string
	proxies  []netip.Prefix // that the settings trust
}

func (d *doctor) problem(code, fix, what string, args ...any) {
	d.findings = append(d.findings, finding{code, true, fmt.Sprintf(what, args...), fix})
}

func (d *doctor) note(code, fix, what string, args ...any) {
	d.findings = append(d.findings, finding{code, false, fmt.Sprintf(what, args...), fix})
}

func (dc doctorCommand) Run(c *Call) error {
	d := doctor{proxies: c.settings.Proxies}
	d.settings(c)
	d.keys(c)
	d.limits()
	d.provider(c)
	if path := c.settings.Database.Path; path != "" {
		d.database(c, path)
	} else if c.settings.Database.URL != "" && c.mistakes == nil {
		d.server(c)
	}
	if dc.URL != "" {
		d.looked = append(d.looked, dc.URL)
		if err := d.arrival(c, dc.URL, c.settings.Origin); err != nil {
			return err
		}
	}
	if err := dc.tell(c, d); err != nil {
		return err
	}
	problems := 0
	for _, f := range d.findings {
		if f.Problem {
			problems++
		}
	}
	if problems > 0 {
		return unwell(problems)
	}
	return nil
}

func (dc doctorCommand) tell(c *Call, d doctor) error {
	if dc.JSON {
		if d.findings == nil {
			d.findings = []finding{}
		}
		return writeJSON(c.Stdout, d.findings)
	}
	for _, f := range d.findings {
		kind := "note"
		if f.Problem {
			kind = "PROBLEM"
		}
		lines := visible([]string{f.What, f.Fix})
		c.say("%s %s: %s\n    do: %s", kind, f.Code, lines[0], lines[1])
	}
	if len(d.findings) == 0 {
		c.say("Nothing found. Looked at: %s.", strings.Join(d.looked, ", "))
	}
	return nil
}

func (d *doctor) settings(c *Call) {
	d.looked = append(d.looked, "settings")
	if c.mistakes != nil {
		d.problem("SETTINGS", "mend them; vedfolnir config show tells where each value comes from", "%v", c.mistakes)
	}
	for _, w := range c.settings.Warnings {
		d.note("UNKNOWN_SETTING", "correct or remove it", "%s", w)
	}
	if c.settings.Plain && !c.settings.Loopback {
		d.problem("PLAIN_HTTP", "give --tls-cert and --tls-key, or put a proxy with HTTPS in front and name it with --trusted-proxy", "passwords and sessions cross the network without TLS")
	}
	if c.settings.Origin == "" && !(c.settings.Plain && c.settings.Loopback) && c.mistakes == nil {
		d.note("NO_ORIGIN", "give --origin with the address that people use, such as https://accounts.example.org", "nobody can have a passkey: the server was not told its name, to which they are bound")
	}
}

func (d *doctor) keys(c *Call) {
	path := c.settings.KeyFile
	if path == "" {
		return
	}
	d.looked = append(d.looked, "keys")
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.note("NO_KEYS", "nothing: the server makes them at its first start", "there are no keys in %s yet", path)
	case err == nil && len(c.settings.Keys) > 3:
		d.note("OLD_KEYS", "vedfolnir keys rotate --drop-old removes old ones", "%s holds %d keys, last changed %s; whoever has an old one can still forge what the server signs", path, len(c.settings.Keys), moment(info.ModTime()))
	}
}

// leastFiles is enough for a thousand event streams.
const leastFiles = 2048

func (d *doctor) limits() {
	d.looked = append(d.looked, "limits")
	if n, ok := openFiles(); ok && n < leastFiles {
		d.problem("FEW_FILES", fmt.Sprintf("raise it: LimitNOFILE=65536 in the unit, or ulimit -n 65536 (at least %d)", leastFiles), "a process may open %d files, and every open tab needs one", n)
	}
}

// leastSpace is what the write-ahead log and a backup's beginning need.
const leastSpace = 256 << 20

func (d *doctor) database(c *Call, path string) {
	d.looked = append(d.looked, "database")
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			d.note("NO_DATABASE", "nothing if this is before the first start; else name it with --database sqlite:FILE", "there is no database %s", path)
		} else {
			d.problem("DATABASE", "let the server's user read it", "%v", err)
		}
		return
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		d.problem("DATABASE_MODE", "chmod 600 "+path, "%s can be read by others (mode %04o): it holds names, addresses and password hashes", path, mode)
	}
	if free, network, ok := diskOf(filepath.Dir(path)); ok {
		if free < leastSpace {
			d.problem("DISK_FULL", "make room: without it nobody can sign in or out", "only %d MB are free where %s lies", free>>20, path)
		}
		if network != "" {
			d.problem("NETWORK_DISK", "put it on a disk of this machine: locks and syncs are not to be relied on there", "%s lies on a network file system (%s)", path, network)
		}
	}
	if wal, err := inWAL(path); err == nil && !wal {
		d.note("DATABASE_SETTINGS", "nothing more: opening it has put it right. Keep other programs from changing it", "%s was not in WAL mode, so readers had to wait for writers", path)
	}
	if err := c.with(func(db *opened) error { return d.inside(c, db, path) }); err != nil {
		d.problem("DATABASE", "restore a backup if it is damaged (vedfolnir backup makes them)", "%v", err)
	}
}

// server looks at a database on a PostgreSQL server.
func (d *doctor) server(c *Call) {
	d.looked = append(d.looked, "database")
	where := c.settings.Database
	err := c.with(func(db *opened) error {
		var standbys, version string
		var durable bool
		var synchronous int // that are there, or of which this user may not know
		err := db.store.DB().QueryRowContext(c, `SELECT current_setting('synchronous_standby_names'), current_setting('server_version'),
			current_setting('fsync')::bool AND current_setting('full_page_writes')::bool,
			(SELECT count(*) FROM pg_stat_replication WHERE sync_state IS NULL OR sync_state IN ('sync', 'quorum'))`).Scan(&standbys, &version, &durable, &synchronous)
		if err != nil {
			return fmt.Errorf("ask the server how it is set: %w", err)
		}
		if !durable {
			d.problem("NOT_DURABLE", "set fsync and full_page_writes to on", "the server (PostgreSQL %s) does not wait for its disk: a power failure loses what was acknowledged", version)
		}
		if standbys == "" {
			d.note("NO_SYNCHRONOUS_STANDBY", "name one in synchronous_standby_names, if the server has a standby that may take over", "no synchronous standby is named: after a failover the last sign-outs may be undone; that is noticed, and not made up for")
		} else if synchronous == 0 {
			d.problem("STANDBY_AWAY", "start one of those that are named in synchronous_standby_names, or name another", "no synchronous standby (%s) is connected: nothing is acknowledged until one is, and nobody can sign in or out", standbys)
		}
		return d.inside(c, db, where.String())
	})
	d.bus(c)
	if err != nil {
		d.problem("DATABASE", "see that the server runs, and lets this user in (psql '"+where.String()+"' tells)", "%v", err)
	}
}

// bus looks whether nodes hear each other.
func (d *doctor) bus(c *Call) {
	d.looked = append(d.looked, "bus")
	err := database.CheckBus(c, c.settings.Database, c.settings.Bus)
	switch {
	case err == nil:
	case c.settings.Bus != "":
		d.problem("BUS", "see that the server runs, and lets this user in (--bus, REDISCLI_AUTH)", "nodes do not wake each other, and hear of changes half a second late: %v", err)
	default:
		d.problem("BUS", "lead --database past the pooler, or let it pool by session, or give the nodes a --bus of their own", "nodes do not wake each other, and hear of changes half a second late, as behind a pooler that pools by transaction: %v", err)
	}
}

// inWAL reads it from the file itself, since the store sees to it when it opens one:
// the bytes 18 and 19 are 2 then (sqlite.org/fileformat.html). What is no database is
// told elsewhere.
func inWAL(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	var header [20]byte
	if _, err := io.ReadFull(file, header[:]); err != nil {
		return false, err
	}
	return header[18] != 1 || header[19] != 1, nil
}

// inside looks at what the database holds.
func (d *doctor) inside(ctx context.Context, db *opened, path string) error {
	if s, ok := db.store.(interface{ Check(context.Context) error }); ok {
		if err := s.Check(ctx); err != nil {
			return err
		}
	}
	d.looked = append(d.looked, "people", "clock")
	people, err := db.people.Everybody(ctx)
	if err != nil {
		return err
	}
	admins := 0
	for _, p := range people {
		if p.Role == directory.Admin && !p.Disabled && !p.Demo {
			admins++
		}
		if p.Demo {
			d.note("DEMO_PERSON", "vedfolnir user remove "+p.Username, "%s has a public password; it opens nothing unless the server runs with --demo", p.Username)
		}
	}
	if admins == 0 {
		d.note("NO_ADMIN", "vedfolnir user add NAME --email ADDRESS --role admin, or user role NAME admin", "nobody is an administrator")
	}
	if err := d.outbox(ctx, db); err != nil {
		return err
	}
	if err := d.seals(ctx, db); err != nil {
		return err
	}
	var newest sql.NullInt64
	if err := db.store.DB().QueryRowContext(ctx, `SELECT max(last_activity) FROM sessions`).Scan(&newest); err != nil {
		return fmt.Errorf("read the newest activity: %w", err)
	}
	if ahead := time.Until(time.UnixMicro(newest.Int64)); ahead > time.Minute {
		d.problem("CLOCK", "set it by NTP (timedatectl set-ntp true)", "the clock was set back: %s holds activity that is %v in the future", path, ahead.Round(time.Second))
	}
	return nil
}

// outboxPatience is how long a message may wait before somebody should look.
const outboxPatience = 10 * time.Minute

// outbox looks at messages that do not leave.
func (d *doctor) outbox(ctx context.Context, db *opened) error {
	w, err := db.people.WaitingMessages(ctx)
	if err != nil {
		return err
	}
	switch {
	case w.Failing > 0:
		d.problem("WEBHOOK", "mend the receiver, and see with vedfolnir webhook test; they are sent again by themselves", "the webhook's receiver does not take %s, the oldest of %s: %s", count(w.Messages, "message"), moment(w.Since), w.Problem)
	case w.Messages > 0 && time.Since(w.Since) > outboxPatience:
		d.problem("WEBHOOK", "start a server with --webhook-url, or restart the one that has it", "nobody sends the webhook's messages: waiting since %s: %s", moment(w.Since), count(w.Messages, "message"))
	}
	return nil
}

// seals looks whether somebody seals the audit. What is not sealed within a second may
// be altered, and nobody finds out.
func (d *doctor) seals(ctx context.Context, db *opened) error {
	state, err := db.store.AuditState(ctx)
	if err != nil {
		return fmt.Errorf("read how the audit stands: %w", err)
	}
	since := state.Newest.At.Add(time.Second) // what was under way then is in the next checkpoint
	if state.Newest.IsZero() {
		since = time.Unix(0, 0)
	}
	var waiting int
	query := fmt.Sprintf(`SELECT count(*) FROM session_audit WHERE at > %d AND at < %d`, since.UnixMicro(), time.Now().Add(-time.Minute).UnixMicro())
	if err := db.store.DB().QueryRowContext(ctx, query).Scan(&waiting); err != nil {
		return fmt.Errorf("count what is not sealed: %w", err)
	}
	if waiting > 0 {
		d.note("NOT_SEALED", "start a server, or run vedfolnir audit seal; if a server runs, its log says why it cannot", "%s of the audit not sealed for more than a minute: that they were altered would not be found", count(waiting, "line"))
	}
	return nil
}
