//go:build faultpoints

package fault

import "testing"

// TestPoint passes a point without a handler and with one.
func TestPoint(t *testing.T) {
	Point("first")
	var passed []string
	handler := func(name string) { passed = append(passed, name) }
	Handler.Store(&handler)
	defer Handler.Store(nil)
	Point("second")
	if len(passed) != 1 || passed[0] != "second" {
		t.Errorf("the handler was called for %q, want only the second point", passed)
	}
}
