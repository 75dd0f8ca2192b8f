package backend

import (
	"testing"

	"go.uber.org/goleak"
)

// looped ends the tests' loop before goroutines are looked for.
type looped struct{ *testing.M }

// Run runs the tests.
func (m looped) Run() int {
	defer endLoop()
	return m.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(looped{m}) }
