package sqlitestore

import (
	"context"

	"github.com/vedfolnir/session"
)

// feedLength is how many changes are kept at least.
const feedLength = 10_000

const (
	insertChange = `INSERT INTO session_feed (user_id, rev, session, version, ended, directory) VALUES (?,?,?,?,?,?)`
	trim         = `DELETE FROM session_feed WHERE seq <= (SELECT max(seq) FROM session_feed) - ?`
	bounds       = `SELECT (SELECT min(seq) FROM session_feed), (SELECT max(seq) FROM session_feed), (SELECT epoch FROM session_meta)`
	changes      = `SELECT user_id, rev, session, version, ended, directory FROM session_feed WHERE seq BETWEEN ? AND ? ORDER BY seq`
)

// publish gives changes their places, and takes the oldest ones away. Writers
// take turns, so the order of places is that of the commits, and none is taken
// late.
func (t *tx) publish() error {
	if len(t.feed) == 0 {
		return nil
	}
	for _, ch := range t.feed {
		if err := t.exec(insertChange, string(ch.User), int64(ch.Rev), optionalID(ch.Session), int64(ch.Version), ch.Ended, ch.Directory); err != nil {
			return err
		}
	}
	return t.exec(trim, int64(feedLength))
}

// changed notes a change of a session.
func (t *tx) changed(r session.Record) {
	t.feed = append(t.feed, session.Change{User: r.UserID, Rev: r.Rev, Session: r.ID, Version: r.Version, Ended: !r.EndedAt.IsZero()})
}

// Changes implements [session.Store]. A cursor is the place of the next change.
func (s *Store) Changes(ctx context.Context, after uint64, _ bool) (session.Feed, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (session.Feed, error) {
		b, err := c.one(ctx, bounds)
		if err != nil {
			return session.Feed{}, err
		}
		first, last := b.counter(0), b.counter(1)
		feed := session.Feed{Next: last + 1, Epoch: b.counter(2)}
		switch {
		case after == 0 || after == feed.Next:
			return feed, nil
		case after > feed.Next || after < first:
			feed.Gap = true
			return feed, nil
		}
		err = c.each(ctx, func(r row) {
			ch := session.Change{
				User: session.UserID(r.text(0)), Rev: r.counter(1), Version: r.counter(3), Ended: r.flag(4), Directory: r.flag(5),
			}
			copy(ch.Session[:], r.blob(2))
			feed.Changes = append(feed.Changes, ch)
		}, changes, int64(after), int64(last))
		// Places have no holes: what is missing was trimmed since bounds.
		feed.Gap = uint64(len(feed.Changes)) != last+1-after
		return feed, err
	})
}
