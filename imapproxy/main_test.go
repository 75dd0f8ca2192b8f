package imapproxy

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notQuick leaves a test out of make quick, which runs go test -short.
func notQuick(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out of make quick")
	}
}
