package gather_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/vedfolnir/session/internal/gather"
)

func TestWhatWaitsIsDoneTogetherAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var batches [][]int
		hold := make(chan struct{})
		q := gather.Start(gather.UpTo[int](3), func(batch []int) {
			<-hold
			batches = append(batches, slices.Clone(batch))
		})
		for i := range 6 {
			if !q.Add(i) {
				t.Errorf("%d was refused", i)
			}
			synctest.Wait() // the first is under way before the others come
		}
		close(hold)
		q.Close()
		want := [][]int{{0}, {1, 2, 3}, {4, 5}}
		if !slices.EqualFunc(batches, want, slices.Equal[[]int]) {
			t.Errorf("batches %v, want %v", batches, want)
		}
	})
}

func TestWhatIsPickedLeavesTheRest(t *testing.T) {
	var done []int
	odd := func(waiting []int) (batch, rest []int) {
		for i, n := range waiting {
			if i == 0 || n%2 == waiting[0]%2 {
				batch = append(batch, n)
			} else {
				rest = append(rest, n)
			}
		}
		return batch, rest
	}
	q := gather.Start(odd, func(batch []int) {
		for _, n := range batch {
			if n%2 != batch[0]%2 {
				t.Errorf("batch %v", batch)
			}
		}
		done = append(done, batch...)
	})
	for i := range 100 {
		q.Add(i)
	}
	q.Close()
	slices.Sort(done)
	if len(done) != 100 || done[0] != 0 || done[99] != 99 {
		t.Errorf("done: %v", done)
	}
}

func TestCloseDoesWhatWasAddedAndRefusesTheRest(t *testing.T) {
	done := map[int]bool{}
	q := gather.Start(gather.UpTo[int](8), func(batch []int) {
		for _, n := range batch {
			done[n] = true
		}
	})
	var mu sync.Mutex
	taken := map[int]bool{}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if q.Add(i) {
				mu.Lock()
				defer mu.Unlock()
				taken[i] = true
			}
		})
	}
	q.Close()
	wg.Wait()
	q.Close()
	if q.Add(64) {
		t.Error("taken after the end")
	}
	if len(done) != len(taken) {
		t.Errorf("%d were taken and %d done", len(taken), len(done))
	}
}
