package sessiontest_test

import (
	"context"
	"fmt"
	"testing"
)

// exampleTest stands for the test that an example would have been given.
type exampleTest struct {
	testing.TB
	context context.Context
	cancel  context.CancelFunc
	cleanup []func()
}

func newTest() *exampleTest {
	ctx, cancel := context.WithCancel(context.Background())
	return &exampleTest{context: ctx, cancel: cancel}
}

func (t *exampleTest) Helper()                           {}
func (t *exampleTest) Context() context.Context          { return t.context }
func (t *exampleTest) Cleanup(f func())                  { t.cleanup = append(t.cleanup, f) }
func (t *exampleTest) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (t *exampleTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (t *exampleTest) end() {
	t.cancel()
	for i := len(t.cleanup) - 1; i >= 0; i-- {
		t.cleanup[i]()
	}
}
