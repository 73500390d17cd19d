package directory_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/internal/testservers"
)

// onBoth runs a test on each engine, and hands it a directory, its database and the
// audit lines that are written.
func onBoth(t *testing.T, test func(t *testing.T, d *directory.Directory, exec func(query string), lines func() []string)) {
	t.Helper()
	engines := map[string]func(t *testing.T) (*sql.DB, directory.Dialect){
		"SQLite": func(t *testing.T) (*sql.DB, directory.Dialect) { return database(t), directory.SQLite },
		"PostgreSQL": func(t *testing.T) (*sql.DB, directory.Dialect) {
			db, err := sql.Open("pgx", testservers.PostgreSQL(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			return db, directory.PostgreSQL
		},
	}
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, dialect := engine(t)
			var lines []string
			d := open(t, db, directory.Config{Dialect: dialect, Note: func(_ context.Context, _ *sql.Tx, e session.AuditEvent) error {
				lines = append(lines, fmt.Sprintf("%s of %s by %s", e.Action, e.User, e.By))
				return nil
			}})
			exec := func(query string) {
				t.Helper()
				if _, err := db.ExecContext(t.Context(), query); err != nil {
					t.Fatal(err)
				}
			}
			test(t, d, exec, func() []string { return lines })
		})
	}
}

func passkey(id, name string) directory.Passkey {
	return directory.Passkey{
		ID: []byte(id), Site: "example.org", PublicKey: []byte("key of " + id), Name: name, Model: [16]byte{1, 2}, Transports: []string{"internal", "hybrid"},
		BackupEligible: true, SignCount: 3, CreatedAt: noon,
	}
}

func once(thing string) directory.Once {
	return directory.Once{Thing: []byte(thing), Until: noon.Add(5 * time.Minute)}
}

func TestPasskeysAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, d *directory.Directory, _ func(string), lines func() []string) {
		ctx := t.Context()
		kim, lee := add(t, d, "kim"), add(t, d, "lee")
		holder, err := d.Holder(ctx, kim)
		if err != nil || len(holder.Handle) != 64 || holder.Username != "kim" || len(holder.Passkeys) != 0 {
			t.Fatalf("%+v, %v", holder, err)
		}
		again, err := d.Holder(ctx, kim)
		if err != nil || !bytes.Equal(again.Handle, holder.Handle) {
			t.Errorf("the handle has changed: %v", err)
		}
		if other, err := d.Holder(ctx, lee); err != nil || bytes.Equal(other.Handle, holder.Handle) {
			t.Errorf("two people have one handle: %v", err)
		}
		if _, err := d.Holder(ctx, "999"); !errors.Is(err, session.ErrUnknownUser) {
			t.Errorf("nobody: %v", err)
		}
		phone := passkey("phone", "Phone")
		if err := d.As(kim).AddPasskey(ctx, kim, phone, once("1")); err != nil {
			t.Fatal(err)
		}
		got, err := d.Passkeys(ctx, kim)
		if err != nil || len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(phone) {
			t.Errorf("%+v, %v; want %+v", got, err, phone)
		}
		if err := d.AddPasskey(ctx, lee, passkey("phone", "Mine"), once("2")); !errors.Is(err, directory.ErrTaken) {
			t.Errorf("somebody else's: %v", err)
		}
		if err := d.AddPasskey(ctx, kim, passkey("key", "Key"), once("1")); !errors.Is(err, directory.ErrSpent) {
			t.Errorf("a challenge that was answered: %v", err)
		}
		for _, name := range []string{"", "  ", strings.Repeat("x", 61), "\xff", "a\x00b", "a\nb"} {
			if err := d.RenamePasskey(ctx, kim, []byte("phone"), name); !errors.As(err, new(directory.RuleError)) {
				t.Errorf("the name %q: %v", name, err)
			}
		}
		if err := d.RenamePasskey(ctx, lee, []byte("phone"), "Mine"); !errors.Is(err, directory.ErrNoPasskey) {
			t.Errorf("somebody else renames it: %v", err)
		}
		if err := d.RemovePasskey(ctx, lee, []byte("phone")); !errors.Is(err, directory.ErrNoPasskey) {
			t.Errorf("somebody else removes it: %v", err)
		}
		if err := d.As(kim).RenamePasskey(ctx, kim, []byte("phone"), " Old phone "); err != nil {
			t.Error(err)
		}
		if got, err := d.Passkeys(ctx, kim); err != nil || got[0].Name != "Old phone" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := d.As(kim).RemovePasskey(ctx, kim, []byte("phone")); err != nil {
			t.Error(err)
		}
		want := []string{"person_added of 1 by system", "person_added of 2 by system", "passkey_added of 1 by 1", "passkey_renamed of 1 by 1", "passkey_removed of 1 by 1"}
		if !slices.Equal(lines(), want) {
			t.Errorf("audit %q, want %q", lines(), want)
		}
	})
}

func TestAPasskeyAnswersOnceAndForWhoMaySignIn(t *testing.T) {
	onBoth(t, func(t *testing.T, d *directory.Directory, _ func(string), _ func() []string) {
		ctx := t.Context()
		kim := add(t, d, "kim")
		holder, err := d.Holder(ctx, kim)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.AddPasskey(ctx, kim, passkey("phone", "Phone"), once("1")); err != nil {
			t.Fatal(err)
		}
		if a, err := d.PasskeyOwner(ctx, []byte("none")); err != nil || a.ID != "0" {
			t.Errorf("nobody's: %+v, %v", a, err)
		}
		a, err := d.PasskeyOwner(ctx, []byte("phone"))
		if err != nil || a.ID != kim {
			t.Fatalf("%+v, %v", a, err)
		}
		held, err := d.HolderOf(ctx, a, []byte("phone"))
		if err != nil || !bytes.Equal(held.Handle, holder.Handle) || len(held.Passkeys) != 1 {
			t.Fatalf("%+v, %v", held, err)
		}
		p := held.Passkeys[0]
		p.LastUsed, p.SignCount, p.BackedUp = noon, 7, true
		if err := d.UsePasskey(ctx, a, p, once("2")); err != nil {
			t.Fatal(err)
		}
		p.LastUsed, p.SignCount = noon.Add(time.Minute), 5
		if err := d.UsePasskey(ctx, a, p, once("2")); !errors.Is(err, directory.ErrSpent) {
			t.Errorf("the same answer again: %v", err)
		}
		if err := d.UsePasskey(ctx, a, p, once("3")); err != nil {
			t.Fatal(err)
		}
		got, err := d.Passkeys(ctx, kim)
		if err != nil || got[0].SignCount != 7 || !got[0].BackedUp || !got[0].LastUsed.Equal(noon.Add(time.Minute)) {
			t.Errorf("%+v, %v: the counter never goes back", got, err)
		}
		// What is spent is forgotten once it is good no more, and not before.
		p.LastUsed = noon.Add(time.Hour)
		if err := d.UsePasskey(ctx, a, p, directory.Once{Thing: []byte("2"), Until: noon.Add(2 * time.Hour)}); err != nil {
			t.Errorf("a thing of the same bytes, an hour later: %v", err)
		}
		if err := d.Disable(ctx, kim); err != nil {
			t.Fatal(err)
		}
		if _, err := d.HolderOf(ctx, a, []byte("phone")); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("disabled: %v", err)
		}
		if err := d.UsePasskey(ctx, a, p, once("4")); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("disabled meanwhile: %v", err)
		}
		if err := d.Enable(ctx, kim); err != nil {
			t.Fatal(err)
		}
		if err := d.RemovePasskey(ctx, kim, []byte("phone")); err != nil {
			t.Fatal(err)
		}
		if err := d.UsePasskey(ctx, a, p, once("5")); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("removed meanwhile: %v", err)
		}
	})
}

// Adds at once, on two nodes, get no further than one after the other. They all wait for
// the table, so that they come to it in the same moment.
func TestNobodyHasMorePasskeysThanTheLimit(t *testing.T) {
	t.Parallel()
	url := testservers.PostgreSQL(t)
	connect := func() *sql.DB {
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	var nodes []*directory.Directory
	for range 2 {
		nodes = append(nodes, open(t, connect(), directory.Config{Dialect: directory.PostgreSQL}))
	}
	kim := add(t, nodes[0], "kim")
	const at = 8
	for i := range 20 - at/2 {
		if err := nodes[0].AddPasskey(t.Context(), kim, passkey(fmt.Sprint(i), "Key"), once(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	gate, err := connect().BeginTx(t.Context(), nil)
	if err == nil {
		_, err = gate.ExecContext(t.Context(), `LOCK TABLE directory_passkeys IN SHARE MODE`)
	}
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, at)
	for i := range at {
		name := fmt.Sprint("at once ", i)
		go func() { errs <- nodes[i%2].AddPasskey(t.Context(), kim, passkey(name, "Key"), once(name)) }()
	}
	for waiting := 0; waiting < at; {
		if err := gate.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := gate.Rollback(); err != nil {
		t.Fatal(err)
	}
	added := 0
	for range at {
		if err := <-errs; err == nil {
			added++
		} else if !errors.As(err, new(directory.RuleError)) {
			t.Error(err)
		}
	}
	if list, err := nodes[0].Passkeys(t.Context(), kim); err != nil || len(list) != 20 || added != at/2 {
		t.Errorf("%d passkeys, %d added at once, %v", len(list), added, err)
	}
}

func TestTheLastWayInStays(t *testing.T) {
	onBoth(t, func(t *testing.T, d *directory.Directory, exec func(string), _ func() []string) {
		ctx := t.Context()
		kim := add(t, d, "kim")
		exec(`UPDATE directory_people SET password = ''`)
		for i := range 20 {
			if err := d.AddPasskey(ctx, kim, passkey(fmt.Sprint(i), "Key"), once(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.AddPasskey(ctx, kim, passkey("20", "Key"), once("20")); !errors.As(err, new(directory.RuleError)) {
			t.Errorf("the twenty-first: %v", err)
		}
		for i := range 19 {
			if err := d.RemovePasskey(ctx, kim, []byte(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.RemovePasskey(ctx, kim, []byte("19")); !errors.Is(err, directory.ErrLastWayIn) {
			t.Errorf("the last one, without a password: %v", err)
		}
		if list, err := d.Passkeys(ctx, kim); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if err := d.SetPassword(ctx, kim, password); err != nil {
			t.Fatal(err)
		}
		if err := d.RemovePasskey(ctx, kim, []byte("19")); err != nil {
			t.Errorf("the last one, with a password: %v", err)
		}
	})
}

func TestRecoveryCodes(t *testing.T) {
	onBoth(t, func(t *testing.T, d *directory.Directory, _ func(string), lines func() []string) {
		const fresh = "nine purple kettles whisper"
		ctx := t.Context()
		kim, lee := add(t, d, "kim"), add(t, d, "lee")
		find := func(login string) directory.Account {
			t.Helper()
			a, err := d.Find(ctx, login)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		old, err := d.As(kim).MakeRecoveryCodes(ctx, kim, noon)
		if err != nil {
			t.Fatal(err)
		}
		codes, err := d.As(kim).MakeRecoveryCodes(ctx, kim, noon)
		if err != nil || len(codes) != 10 || len(slices.Compact(slices.Sorted(slices.Values(codes)))) != 10 {
			t.Fatalf("%d codes, %v", len(codes), err)
		}
		for _, code := range codes {
			if len(code) != 29 || strings.ContainsAny(code, "ilou") {
				t.Errorf("the code %q", code)
			}
		}
		for what, try := range map[string]struct {
			who  directory.Account
			code string
		}{
			"one from before": {find("kim"), old[0]}, "somebody else's": {find("lee"), codes[0]}, "nobody's": {find("none"), codes[0]},
			"none": {find("kim"), ""}, "a part": {find("kim"), codes[0][:24]},
		} {
			if err := d.Recover(ctx, try.who, try.code, fresh, noon); !errors.Is(err, directory.ErrCredentials) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := d.Recover(ctx, find("kim"), codes[0], "short", noon); !errors.As(err, new(directory.RuleError)) {
			t.Errorf("a password that will not do: %v", err)
		}
		typed := strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(codes[0], "-", " "), "0", "o"))
		if err := d.Recover(ctx, find("KIM"), typed, fresh, noon.Add(time.Hour)); err != nil {
			t.Errorf("as somebody types it, %q: %v", typed, err)
		}
		if err := d.Recover(ctx, find("kim"), codes[0], fresh+"!", noon); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("a second time: %v", err)
		}
		if _, err := signIn(t, d, "kim", fresh); err != nil {
			t.Errorf("the new password: %v", err)
		}
		if _, err := signIn(t, d, "kim", password); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("the old password: %v", err)
		}
		list, err := d.RecoveryCodes(ctx, kim)
		if err != nil || len(list) != 10 || !list[9].UsedAt.Equal(noon.Add(time.Hour)) || !list[8].UsedAt.IsZero() || !list[0].MadeAt.Equal(noon) {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := d.RecoveryCodes(ctx, lee); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		if err := d.Disable(ctx, kim); err != nil {
			t.Fatal(err)
		}
		if err := d.Recover(ctx, find("kim"), codes[1], fresh+"!", noon); !errors.Is(err, directory.ErrCredentials) {
			t.Errorf("disabled: %v", err)
		}
		want := []string{"recovery_codes_made of 1 by 1", "recovery_codes_made of 1 by 1", "recovery_code_used of 1 by system", "password_set of 1 by system", "person_disabled of 1 by system"}
		if !slices.Equal(lines()[2:], want) {
			t.Errorf("audit %q, want %q", lines()[2:], want)
		}
		if err := d.Erase(ctx, kim); err != nil {
			t.Fatal(err)
		}
		if list, err := d.RecoveryCodes(ctx, kim); err != nil || len(list) != 0 {
			t.Errorf("erased: %+v, %v", list, err)
		}
	})
}
