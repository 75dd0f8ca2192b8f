package exits

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// waiting is how many tests run concurrently: most of them wait for the times at which a run counts.
const waiting = 4

// TestMain has a folder for temporary files, in which no peer may leave its own.
func TestMain(m *testing.M) {
	rigtest.RunCommand(map[string]rigtest.Command{"backend": rig.RunBackend})
	dir, err := os.MkdirTemp("", "imaprig-exits-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // dovecot has users of its own
	}
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err == nil {
		err = flag.Set("test.parallel", strconv.Itoa(max(waiting, runtime.GOMAXPROCS(0))))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if left, _ := filepath.Glob(filepath.Join(dir, "imaprig-*")); len(left) > 0 && code == 0 {
			fmt.Fprintln(os.Stderr, "folders of peers are left:", left)
			code = 1
		}
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

var buildOwn = sync.OnceValues(func() (string, error) { return rigtest.BuildOwnProgram(os.TempDir()) })

// ownProgram returns the path of our proxy, which is built once.
func ownProgram(t *testing.T) string {
	t.Helper()
	rigtest.NeedPrograms(t, "go")
	path, err := buildOwn()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
