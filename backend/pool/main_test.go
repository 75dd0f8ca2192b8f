package pool

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptions(t *testing.T) {
	if _, err := New(Options[string, int]{}); err == nil {
		t.Error("a pool without limits")
	}
}
