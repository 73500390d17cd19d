package suspicion_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/suspicion"
)

var now = time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)

func noticed(t *testing.T, m suspicion.Marks, at time.Time, signals ...suspicion.Signal) suspicion.Marks {
	t.Helper()
	m, _, _ = m.With(signals, at)
	return m
}

// By default no signal alone makes a session suspicious, and all that comes of moving
// about does not either, together.
func TestTheDefaultWeights(t *testing.T) {
	var p suspicion.Policy
	for _, s := range suspicion.Signals() {
		if v := p.Judge(noticed(t, suspicion.Marks{}, now, s), now); v.IsSuspicious || v.Score != s.Weight() || v.Score == 0 {
			t.Errorf("%s alone: %+v", s, v)
		}
	}
	moving := noticed(t, suspicion.Marks{}, now, suspicion.PlatformChanged, suspicion.NetworkChanged, suspicion.TwoPlaces)
	if v := p.Judge(moving, now); v.IsSuspicious {
		t.Errorf("on the move: %+v", v)
	}
	all := noticed(t, suspicion.Marks{}, now, suspicion.Signals()...)
	if v := p.Judge(all, now); v.Answer != suspicion.StepUp {
		t.Errorf("everything at once, and nothing ends by default: %+v", v)
	}
}

func TestSignalsCountForADay(t *testing.T) {
	m := noticed(t, suspicion.Marks{}, now, suspicion.UserAgentChanged)
	var p suspicion.Policy
	for after, want := range map[time.Duration]int{0: 40, suspicion.Window - time.Second: 40, suspicion.Window: 0} {
		if v := p.Judge(m, now.Add(after)); v.Score != want {
			t.Errorf("after %v: %+v", after, v)
		}
	}
}

// What is there all the time is stored twice a day, and no oftener; only what did
// not count before is news to a step-up.
func TestMarksAreNewsOnceInHalfADay(t *testing.T) {
	m, first, news := suspicion.Marks{}.With([]suspicion.Signal{suspicion.NetworkChanged}, now)
	if !first || !news {
		t.Error("the first time is no news")
	}
	for after, want := range map[time.Duration][2]bool{
		time.Minute: {false, false}, suspicion.Window/2 - time.Second: {false, false},
		suspicion.Window / 2: {false, true}, suspicion.Window: {true, true},
	} {
		if _, first, news := m.With([]suspicion.Signal{suspicion.NetworkChanged}, now.Add(after)); first != want[0] || news != want[1] {
			t.Errorf("after %v: first %v, news %v", after, first, news)
		}
	}
	if again, first, news := m.With(nil, now.Add(time.Hour)); again != m || first || news {
		t.Error("nothing is news")
	}
}

func TestMarksComeBackAsTheyWent(t *testing.T) {
	m := noticed(t, noticed(t, suspicion.Marks{}, now, suspicion.TwoPlaces), now.Add(time.Hour), suspicion.LanguageChanged)
	if got := suspicion.ParseMarks(m.String()); got != m || !strings.Contains(m.String(), "two_places=1736589600") {
		t.Errorf("%q: %v, want %v", m, got, m)
	}
	for text, want := range map[string]suspicion.Marks{
		"": {}, "two_places": {}, "two_places=x": {}, "=1": {}, "of_another_version=1 two_places=1736589600": noticed(t, suspicion.Marks{}, now, suspicion.TwoPlaces),
	} {
		if got := suspicion.ParseMarks(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAVerdictIsWhole(t *testing.T) {
	encoded, err := json.Marshal(suspicion.Policy{}.Judge(suspicion.Marks{}, now))
	if want := `{"is_suspicious":false,"score":0,"answer":"none","signals":[],"explanation":"score 0: none"}`; err != nil || string(encoded) != want {
		t.Errorf("%s, %v", encoded, err)
	}
	names := map[string]bool{}
	for _, s := range suspicion.Signals() {
		if names[s.String()] || s.Words() == "" || !slices.Contains([]string{".", "!"}, s.Words()[len(s.Words())-1:]) {
			t.Errorf("%q says %q", s, s.Words())
		}
		names[s.String()] = true
	}
}
