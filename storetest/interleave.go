package storetest

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// Interleave lets several goroutines make every kind of change to the sessions of
// a few users, and then looks for an order of them that explains every answer. A
// seed fixes what each goroutine asks for, not how the machine interleaves them.
//
// The orders to explain are given by the store itself: versions order the changes
// of a session, revs order the starts and ends of a user. So the check is exact
// and needs no search:
//
//   - Every version of a session was made by one acknowledged change, which turns
//     the version before into it; an end is the last; the feed tells them all.
//   - Every rev of a user was made by one change. At each, the sessions that
//     ended are exactly those that should, the new one was let in by
//     [session.Creation.Plan], and there were never more than the limit.
//   - Every answer, a refusal too, was true at some instant of its call.
func Interleave(t *testing.T, open func(t *testing.T) session.Store, seeds ...uint64) {
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(start(t, open), seed)
			w.run()
			w.check()
		})
	}
}

const (
	workers    = 8
	perWorker  = 160 // operations
	births     = 24  // sessions that one worker creates
	worldLimit = 4   // live sessions of a user
)

var worldUsers = []session.UserID{"alex", "robin", "sam"}

type kind int

const (
	doCreate kind = iota
	doSwitch
	doRefresh
	doRotate
	doConfirm
	doTouch
	doGet
	doList
	doEndOne
	doEndOthers
	doEndAll
	doExpire
	doPurge
	doRaiseRev
	doCount
	kinds
)

// weights say how often each kind comes, next to births creations.
var weights = [kinds]int{
	doSwitch: 20, doRefresh: 12, doRotate: 12, doConfirm: 14, doTouch: 14, doGet: 12, doList: 8,
	doEndOne: 8, doEndOthers: 2, doEndAll: 1, doExpire: 5, doPurge: 2, doRaiseRev: 4, doCount: 1,
}

// op is one thing that a worker asks for. at, secret and platform are its own, so
// that what it did can be told by them.
type op struct {
	kind     kind
	user     session.UserID
	id       session.ID
	at       time.Time
	creation session.Creation
	ending   session.Ending
	expiring session.Expiring
	guarded  bool // doCreate: with the epoch of sign-ins
}

// result is what came of it, and between which ticks of the world's clock.
type result struct {
	op
	start, end uint64
	err        error
	made       []session.Record // the versions that this call made
	read       []session.Record // what it returned without changing it
	before     session.Record   // guards: what the caller had seen
	epochFrom  uint64           // doCreate: the tick before the epoch was read
	n          int
}

type world struct {
	subject
	clock   atomic.Uint64
	scripts [][]op
	logs    [][]result
	ids     []session.ID
	feed    *follower
	first   map[session.UserID]uint64 // rev before the first op
	last    map[session.UserID]uint64 // rev after the last
}

func newWorld(s subject, seed uint64) *world {
	w := &world{subject: s, first: map[session.UserID]uint64{}, last: map[session.UserID]uint64{}}
	rng := rand.New(rand.NewPCG(seed, 0))
	records := make([]session.Record, workers*births)
	for i := range records {
		records[i] = NewRecord(worldUsers[rng.IntN(len(worldUsers))], base)
		binary.BigEndian.PutUint64(records[i].ID[2:], seed)
		binary.BigEndian.PutUint32(records[i].ID[10:], uint32(i))
		w.ids = append(w.ids, records[i].ID)
	}
	w.scripts, w.logs = make([][]op, workers), make([][]result, workers)
	for worker := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(worker)+1))
		for n := range perWorker {
			o := op{at: base.Add(time.Duration(n*workers+worker+1) * time.Millisecond)}
			born := n * births / perWorker
			if n == 0 || born != (n-1)*births/perWorker {
				o.creation = session.Creation{Record: records[worker*births+born], Limit: worldLimit}
				o.creation.Record.CreatedAt, o.creation.Record.RenewedAt, o.creation.Record.Proof.At, o.creation.Record.LastActivity = o.at, o.at, o.at, o.at
				if rng.IntN(4) == 0 {
					o.creation.Policy = session.DenyNewest
				}
				if born > 0 && rng.IntN(4) == 0 {
					o.creation.Replaces = records[worker*births+born-1].ID
				}
				o.id, o.user, o.guarded = o.creation.Record.ID, o.creation.Record.UserID, rng.IntN(2) == 0
			} else {
				// Somebody's session that was born lately, or is about to be.
				target := records[rng.IntN(workers)*births+max(0, born-rng.IntN(3))]
				o.kind, o.id, o.user = draw(rng), target.ID, target.UserID
				o.ending = session.Ending{User: o.user, Reason: session.RevokedByUser, By: fmt.Sprintf("worker %d", worker), From: records[rng.IntN(len(records))].ID, At: o.at}
				switch o.kind {
				case doEndOne:
					o.ending.ID = o.id
				case doEndOthers:
					o.ending.Except = o.id
				case doEndAll:
					o.ending.RaiseEpoch = true
				}
				// The oldest of what may still live.
				cutoff := o.at.Add(-time.Duration(20+rng.IntN(200)) * time.Millisecond)
				o.expiring = session.Expiring{Cutoffs: session.Cutoffs{Idle: cutoff}, At: o.at, Limit: 1 + rng.IntN(3)}
				if rng.IntN(2) == 0 {
					o.expiring.User = o.user
				}
			}
			w.scripts[worker] = append(w.scripts[worker], o)
		}
	}
	return w
}

func draw(rng *rand.Rand) kind {
	total := 0
	for _, weight := range weights {
		total += weight
	}
	n := rng.IntN(total)
	for k, weight := range weights {
		if n -= weight; n < 0 {
			return kind(k)
		}
	}
	panic("unreachable")
}

func (w *world) run() {
	for _, user := range worldUsers {
		w.first[user] = w.raiseRev(user)
	}
	w.feed = followBy(w.subject, func() uint64 { return w.clock.Add(1) })
	stop := watch(w.ctx(), func(ctx context.Context) {
		for _, user := range worldUsers {
			if live, err := w.List(ctx, user); err != nil || len(live) > worldLimit {
				w.t.Errorf("%s: %d live sessions, %v", user, len(live), err)
			}
		}
		runtime.Gosched()
	})
	together(workers, func(i int) {
		for _, o := range w.scripts[i] {
			w.logs[i] = append(w.logs[i], w.do(o))
			runtime.Gosched()
		}
	})
	stop()
	w.feed.finish()
	for _, user := range worldUsers {
		w.last[user] = w.raiseRev(user)
	}
}

// uniqueSecret is the secret that an op sets.
func uniqueSecret(o op) (h session.SecretHash) {
	binary.BigEndian.PutUint64(h[:], uint64(o.at.UnixMicro()))
	return h
}

func (o op) platform() session.PlatformID { return session.PlatformID(fmt.Sprint(o.at.UnixMicro())) }

func (w *world) do(o op) result {
	res := result{op: o, start: w.clock.Add(1)}
	ctx := w.ctx()
	see := func() {
		if res.before, res.err = w.Get(ctx, o.id); res.err == nil {
			res.read = []session.Record{res.before}
		}
	}
	one := func(r session.Record, err error) {
		if res.err = err; err == nil {
			res.made = []session.Record{r}
		}
	}
	switch o.kind {
	case doCreate:
		if o.guarded {
			res.epochFrom = res.start
			o.creation.SignInEpoch, res.err = w.SignInEpoch(ctx, o.user)
			res.creation = o.creation
		}
		if res.err == nil {
			var c session.Created
			if c, res.err = w.Create(ctx, o.creation); res.err == nil {
				res.made = append([]session.Record{c.Record}, c.Ended...)
			}
		}
	case doSwitch:
		r, changed, err := w.SwitchPlatform(ctx, o.id, o.platform(), o.at, 0)
		if one(r, err); err == nil && !changed {
			w.t.Errorf("a switch to a platform of its own changed nothing")
		}
	case doRefresh, doRotate:
		if see(); res.err != nil {
			break
		}
		if o.kind == doRefresh {
			one(w.Refresh(ctx, o.id, res.before.Version, o.at))
		} else {
			one(w.Rotate(ctx, o.id, res.before.Version, res.rotation()))
		}
	case doConfirm:
		if see(); res.err != nil {
			break
		}
		r, err := w.ConfirmSecret(ctx, o.id, res.before.Secret, o.at)
		if one(r, err); err == nil && r.FirstUsed != o.at {
			res.read, res.made = append(res.read, r), nil
		}
	case doTouch:
		res.err = w.Touch(ctx, []session.Activity{{ID: o.id, At: o.at}})
	case doGet:
		see()
	case doList:
		res.read, res.err = w.List(ctx, o.user)
	case doEndOne, doEndOthers, doEndAll:
		res.made, res.err = w.End(ctx, o.ending)
	case doExpire:
		res.made, res.err = w.Expire(ctx, o.expiring)
	case doPurge:
		res.n, res.err = w.Purge(ctx, session.Purging{EndedBefore: o.at.Add(-100 * time.Millisecond), Limit: 2})
	case doRaiseRev:
		var rev uint64
		rev, res.err = w.RaiseRev(ctx, o.user)
		res.n = int(rev)
	case doCount:
		res.n, res.err = w.Count(ctx, session.Cutoffs{})
	}
	res.end = w.clock.Add(1)
	return res
}

// life is what became of one session: the versions, and the call that made each.
type life struct {
	records []session.Record // records[v-1] is version v
	by      []*result
}

func (l *life) ended() *result {
	if n := len(l.records); n > 0 && !l.records[n-1].EndedAt.IsZero() {
		return l.by[n-1]
	}
	return nil
}

// stored is the record without what comes with reading it, and without activity,
// which has no version.
func stored(r session.Record) session.Record {
	r.Epoch, r.Rev, r.LastActivity = 0, 0, time.Time{}
	return r
}

func (w *world) check() {
	var all []*result
	for i := range w.logs {
		for n := range w.logs[i] {
			all = append(all, &w.logs[i][n])
		}
	}
	for _, res := range all {
		if res.err != nil && !isAnswer(res.err) {
			w.t.Errorf("%v: %v", res, res.err)
		}
	}
	lives := w.lives(all)
	for id, l := range lives {
		w.checkLife(id, l)
	}
	for _, user := range worldUsers {
		w.checkUser(user, all, lives)
	}
	w.checkAnswers(all, lives)
	w.checkActivity(all, lives)
	w.checkRemains(all, lives)
}

// lives sorts what the calls made by session and version.
func (w *world) lives(all []*result) map[session.ID]*life {
	type version struct {
		record session.Record
		by     *result
	}
	made := map[session.ID][]version{}
	for _, res := range all {
		for _, r := range res.made {
			made[r.ID] = append(made[r.ID], version{r, res})
		}
	}
	lives := map[session.ID]*life{}
	for id, versions := range made {
		slices.SortFunc(versions, func(a, b version) int { return cmp.Compare(a.record.Version, b.record.Version) })
		l := &life{}
		for i, v := range versions {
			if v.record.Version != uint64(i+1) {
				w.t.Errorf("%s: version %d is the %dth: lost, or made twice; by %v", id, v.record.Version, i+1, v.by)
				break
			}
			l.records, l.by = append(l.records, v.record), append(l.by, v.by)
		}
		lives[id] = l
	}
	return lives
}

// checkLife replays a session by its versions, and compares it with the feed.
func (w *world) checkLife(id session.ID, l *life) {
	told := w.feed.versions[id]
	if len(told) != len(l.records) {
		w.t.Errorf("%s: %d versions, the feed tells of %d", id, len(l.records), len(told))
		return
	}
	for i, r := range l.records {
		by := l.by[i]
		var before session.Record
		if i > 0 {
			before = l.records[i-1]
		}
		if !before.EndedAt.IsZero() {
			w.t.Errorf("%s came back by %v", id, by)
		}
		if want := by.apply(before); stored(r) != stored(want) {
			same(w.t, fmt.Sprintf("%v after version %d", by, i), stored(r), stored(want))
		}
		if r.LastActivity.Before(before.LastActivity) {
			w.t.Errorf("%s: activity goes back at %v", id, by)
		}
		if i > 0 && by.end < l.by[i-1].start {
			w.t.Errorf("%s: %v made version %d and was over before %v began", id, by, i+1, l.by[i-1])
		}
		if ch := told[i]; ch.Version != r.Version || ch.User != r.UserID || ch.Ended == r.EndedAt.IsZero() {
			w.t.Errorf("%s: version %d is told as %+v", id, r.Version, ch)
		}
		// A read of the feed that begins after the answer knows the change.
		heard := w.feed.reads[w.feed.seenIn[seen{id, r.Version}]]
		for _, began := range w.feed.reads {
			if began > by.end && began < heard {
				w.t.Errorf("%s: version %d was acknowledged, and the next read of the feed lacked it", id, r.Version)
				break
			}
		}
	}
}

// rotation proves something, through another client.
func (res *result) rotation() session.Rotation {
	to := rotation(res.before, uniqueSecret(res.op), res.at)
	to.Action, to.Proof, to.Client.UserAgent = "reauthenticated", to.Proof.Again(res.at, assurance.TwoFactors), res.at.String()
	return to
}

// apply is the model: what the call makes of a record.
func (res *result) apply(r session.Record) session.Record {
	r.Version++
	switch res.kind {
	case doCreate:
		if r.ID.IsZero() {
			return res.creation.Record
		}
		r.EndedAt, r.EndReason, r.EndedBy = res.creation.Record.CreatedAt, session.EvictedByLimit, session.System
		r.EndedFrom = res.creation.Record.ID
		if r.ID == res.creation.Replaces {
			r.EndReason, r.EndedBy = session.SignedOut, string(r.UserID)
		}
	case doSwitch:
		if r.Switches == 0 { // the whole world lives less than an hour
			r.SwitchesSince = res.at
		}
		r.PlatformID, r.Switches = res.platform(), r.Switches+1
	case doRefresh:
		r.RenewedAt, r.Version = res.at, res.before.Version+1
	case doRotate:
		to := res.rotation()
		r.Secret, r.Previous, r.FirstUsed, r.RotatedAt, r.Version = to.Secret, to.Previous, time.Time{}, to.At, res.before.Version+1
		r.Proof, r.PreviousProof, r.Client = to.Proof, to.PreviousProof, to.Client
	case doConfirm:
		if r.Secret == res.before.Secret && r.FirstUsed.IsZero() { // else it was nothing to change
			r.FirstUsed = res.at
		}
	case doEndOne, doEndOthers, doEndAll:
		r.EndedAt, r.EndReason, r.EndedBy, r.EndedFrom = res.at, res.ending.Reason, res.ending.By, res.ending.From
	case doExpire:
		r.EndedAt, r.EndReason, r.EndedBy = res.at, session.IdleTimeout, session.System
	}
	return r
}

// checkUser replays a user's starts and ends by their revs.
func (w *world) checkUser(user session.UserID, all []*result, lives map[session.ID]*life) {
	byRev := map[uint64]*result{}
	claim := func(rev uint64, res *result) {
		if other := byRev[rev]; other != nil && other != res {
			w.t.Errorf("%s: rev %d was made by %v and by %v", user, rev, other, res)
		}
		byRev[rev] = res
	}
	silent := 0 // ends that raised the epoch and returned nothing: their revs are known from the feed
	for _, res := range all {
		revs := map[uint64]bool{}
		for _, r := range res.made {
			if r.UserID == user && (r.Version == 1 || !r.EndedAt.IsZero()) {
				claim(r.Rev, res)
				revs[r.Rev] = true
			}
		}
		if len(revs) > 1 {
			w.t.Errorf("%s: %v raised the rev to each of %v", user, res, revs)
		}
		switch {
		case res.kind == doRaiseRev && res.user == user && res.err == nil:
			claim(uint64(res.n), res)
			if ch := w.feed.revs[user][uint64(res.n)]; ch != (session.Change{User: user, Rev: uint64(res.n), Directory: true}) {
				w.t.Errorf("%s: a change of the directory is told as %+v", user, ch)
			}
		case res.kind == doEndAll && res.user == user && res.err == nil && len(res.made) == 0:
			silent++
		}
	}
	live := map[session.ID]session.Record{}
	epoch := uint64(1)
	for rev := w.first[user] + 1; rev < w.last[user]; rev++ {
		if _, told := w.feed.revs[user][rev]; !told {
			w.t.Errorf("%s: the feed does not tell of rev %d", user, rev)
		}
		res := byRev[rev]
		if res == nil {
			silent--
			epoch++
			if len(live) > 0 {
				w.t.Errorf("%s: rev %d ended none of %d", user, rev, len(live))
			}
			continue
		}
		w.replay(user, res, live, epoch)
		if res.kind == doEndAll {
			epoch++
		}
		if len(live) > worldLimit {
			w.t.Errorf("%s: %d sessions live at rev %d", user, len(live), rev)
		}
	}
	if silent != 0 {
		w.t.Errorf("%s: the revs do not add up, by %d", user, silent)
	}
	if got := w.signInEpoch(user); got != epoch {
		w.t.Errorf("%s: epoch of sign-ins %d, want %d", user, got, epoch)
	}
	for id := range live {
		if lives[id].ended() != nil {
			w.t.Errorf("%s: %s ended at no rev", user, id)
		}
	}
	sameLive(w, user, live)
}

// replay takes one rev of the user: live becomes what it is after the call.
func (w *world) replay(user session.UserID, res *result, live map[session.ID]session.Record, epoch uint64) {
	want := map[session.ID]bool{}
	switch res.kind {
	case doCreate:
		if e := res.creation.SignInEpoch; e != 0 && e != epoch {
			w.t.Errorf("%v: was let in with epoch %d of sign-ins, when it was %d", res, e, epoch)
		}
		var records []session.Record
		for _, r := range live {
			records = append(records, r)
		}
		doomed, err := res.creation.Plan(records)
		if err != nil {
			w.t.Errorf("%v: was let in at the limit: %v", res, err)
		}
		for _, d := range doomed {
			want[d.ID] = true
		}
	case doEndOne, doEndOthers, doEndAll:
		for id := range live {
			want[id] = id != res.ending.Except && (res.ending.ID.IsZero() || id == res.ending.ID)
		}
	case doExpire: // activity has no rev: which ones were idle is not known, those that ended say so
		for _, r := range res.made {
			want[r.ID] = r.UserID == user && res.expiring.Cutoffs.Reason(r.Session) == session.IdleTimeout
		}
		if len(res.made) > res.expiring.Limit || res.expiring.User != "" && res.expiring.User != user {
			w.t.Errorf("%v ended %d sessions of %s", res, len(res.made), user)
		}
	}
	for _, r := range res.made {
		switch _, lives := live[r.ID]; {
		case r.UserID != user:
		case r.EndedAt.IsZero():
			live[r.ID] = r
		case !lives || !want[r.ID]:
			w.t.Errorf("%v ended %s, which lived: %v, and should end: %v", res, r.ID, lives, want[r.ID])
		default:
			delete(live, r.ID)
		}
	}
	for id, should := range want {
		if _, lives := live[id]; lives && should {
			w.t.Errorf("%v left %s alive", res, id)
		}
	}
}

// sameLive compares the model's live sessions with the store's.
func sameLive(w *world, user session.UserID, live map[session.ID]session.Record) {
	w.t.Helper()
	records := w.list(user)
	for _, r := range records {
		if _, ok := live[r.ID]; !ok {
			w.t.Errorf("%s is listed, and should not live", r.ID)
		}
	}
	if len(records) != len(live) {
		w.t.Errorf("%s: %d sessions are listed, %d live", user, len(records), len(live))
	}
}

// checkAnswers looks whether each was true at some instant of its call.
func (w *world) checkAnswers(all []*result, lives map[session.ID]*life) {
	var purges, raises []*result
	for _, res := range all {
		switch res.kind {
		case doPurge:
			purges = append(purges, res)
		case doEndAll:
			raises = append(raises, res)
		}
	}
	mayBeGone := func(id session.ID, before uint64) bool {
		l := lives[id]
		return l != nil && l.ended() != nil && slices.ContainsFunc(purges, func(p *result) bool { return p.start < before && p.n > 0 })
	}
	for _, res := range all {
		for _, r := range res.read {
			w.checkRead(res, r, lives[r.ID])
		}
		if res.kind == doList && res.err == nil {
			w.checkList(res, lives)
		}
		reason, ended := session.Ended(res.err)
		l := lives[res.id]
		switch {
		case res.err == nil:
		case ended:
			if l == nil || l.ended() == nil || l.ended().start > res.end || l.records[len(l.records)-1].EndReason != reason {
				w.t.Errorf("%v: refused because of an end (%s) that was not yet, or never", res, reason)
			}
		case errors.Is(res.err, session.ErrNotFound):
			if l != nil && l.by[0].end < res.start && !mayBeGone(res.id, res.end) {
				w.t.Errorf("%v: not found, and had been created", res)
			}
		case errors.Is(res.err, session.ErrLimit):
			if res.kind != doCreate || res.creation.Policy != session.DenyNewest {
				w.t.Errorf("%v: %v", res, res.err)
			}
		case errors.Is(res.err, session.ErrConflict) && res.kind == doCreate:
			if !slices.ContainsFunc(raises, func(e *result) bool {
				return e.user == res.user && e.end > res.epochFrom && e.start < res.end
			}) || !res.guarded {
				w.t.Errorf("%v: a conflict, and nobody raised the epoch of sign-ins", res)
			}
		case errors.Is(res.err, session.ErrConflict):
			v := res.before.Version
			if l == nil || uint64(len(l.by)) <= v || l.by[v].start > res.end {
				w.t.Errorf("%v: a conflict over version %d, which nobody had changed", res, v)
			}
		}
	}
}

// checkRead looks whether a record that was read is one that was, and is not older
// than what had been acknowledged.
func (w *world) checkRead(res *result, r session.Record, l *life) {
	if l == nil || r.Version == 0 || r.Version > uint64(len(l.records)) {
		w.t.Errorf("%v read version %d of %s, which nobody made", res, r.Version, r.ID)
		return
	}
	if made := l.records[r.Version-1]; stored(r) != stored(made) || r.LastActivity.Before(made.LastActivity) {
		same(w.t, fmt.Sprintf("%v read another version %d than was made", res, r.Version), r, made)
	}
	if l.by[r.Version-1].start > res.end {
		w.t.Errorf("%v read version %d of %s before %v made it", res, r.Version, r.ID, l.by[r.Version-1])
	}
	if int(r.Version) < len(l.by) && l.by[r.Version].end < res.start {
		w.t.Errorf("%v read version %d of %s when %v had made the next", res, r.Version, r.ID, l.by[r.Version])
	}
}

// checkList looks for what is missing in a list; checkRead finds what is wrong.
func (w *world) checkList(res *result, lives map[session.ID]*life) {
	for id, l := range lives {
		if l.records[0].UserID != res.user {
			continue
		}
		ended := l.ended()
		listed := slices.ContainsFunc(res.read, func(r session.Record) bool { return r.ID == id })
		if !listed && l.by[0].end < res.start && (ended == nil || ended.start > res.end) {
			w.t.Errorf("%v lacks %s", res, id)
		}
		if listed && ended != nil && ended.end < res.start {
			w.t.Errorf("%v has %s, which had ended", res, id)
		}
	}
}

// checkActivity: none that was stored in time is lost, none is made up.
func (w *world) checkActivity(all []*result, lives map[session.ID]*life) {
	for id, l := range lives {
		r, err := w.Get(w.ctx(), id)
		if err != nil {
			continue // purged
		}
		known := map[time.Time]bool{l.records[0].LastActivity: true}
		for _, res := range all {
			if res.kind != doTouch || res.id != id {
				continue
			}
			known[res.at] = true
			inTime := res.start > l.by[0].end && (l.ended() == nil || res.end < l.ended().start)
			if inTime && r.LastActivity.Before(res.at) {
				w.t.Errorf("%s: the activity of %v was stored, and is lost", id, res)
			}
		}
		if !known[r.LastActivity] {
			w.t.Errorf("%s: activity at %v, when nobody did anything", id, r.LastActivity)
		}
	}
}

// checkRemains compares the store at the end with the last version of everything.
func (w *world) checkRemains(all []*result, lives map[session.ID]*life) {
	missing, purged, live := 0, 0, 0
	for _, res := range all {
		if res.kind == doPurge {
			purged += res.n
		}
		if res.kind == doCount && res.n > worldLimit*len(worldUsers) {
			w.t.Errorf("%v counted %d", res, res.n)
		}
	}
	for _, id := range w.ids {
		r, err := w.Get(w.ctx(), id)
		l := lives[id]
		switch {
		case errors.Is(err, session.ErrNotFound):
			if l != nil {
				missing++
			}
			if l != nil && l.ended() == nil {
				w.t.Errorf("%s is gone, and had not ended", id)
			}
		case err != nil:
			w.t.Errorf("Get: %v", err)
		case l == nil || stored(r) != stored(l.records[len(l.records)-1]):
			w.t.Errorf("%s is %+v at the end, want what the last change made: %+v", id, r, l)
		case r.EndedAt.IsZero():
			live++
		}
	}
	if missing != purged {
		w.t.Errorf("%d sessions are gone, %d were purged", missing, purged)
	}
	if n, err := w.Count(w.ctx(), session.Cutoffs{}); err != nil || n != live {
		w.t.Errorf("%d are counted, %d live, %v", n, live, err)
	}
}

var kindNames = [kinds]string{
	"Create", "SwitchPlatform", "Refresh", "Rotate", "ConfirmSecret", "Touch", "Get", "List",
	"End", "End others", "End all", "Expire", "Purge", "RaiseRev", "Count",
}

func (res *result) String() string {
	return fmt.Sprintf("%s(%s of %s, at +%v) in ticks %d to %d", kindNames[res.kind], res.id, res.user, res.at.Sub(base), res.start, res.end)
}
