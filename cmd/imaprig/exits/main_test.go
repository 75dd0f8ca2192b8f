package exits

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestMain has a folder for temporary files: TestExitsOwn counts those of peers, which other tests have too.
func TestMain(m *testing.M) {
	rigtest.RunCommand(map[string]rigtest.Command{"backend": rig.RunBackend})
	dir, err := os.MkdirTemp("", "imaprig-exits-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // dovecot has users of its own
	}
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
