package rules

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// events of go test -json; see `go doc test2json`.
const (
	passed = `{"Action":"run","Package":"p","Test":"TestA"}` + "\n" +
		`{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}` + "\n" +
		`{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
	skipped = `{"Action":"output","Package":"p","Test":"TestS","Output":"needs dovecot\n"}` + "\n" +
		`{"Action":"skip","Package":"p","Test":"TestS"}` + "\n"
	failed = `{"Action":"output","Package":"p","Test":"TestF","Output":"    f_test.go:7: why\n"}` + "\n" +
		`{"Action":"output","Package":"p","Test":"TestF","Output":"a log\n"}` + "\n" +
		`{"Action":"fail","Package":"p","Test":"TestF"}` + "\n"
	closing = `{"Action":"output","Package":"p","Output":"PASS\n"}` + "\n" +
		`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n"
	unbuilt = `{"ImportPath":"q","Action":"build-output","Output":"q.go:1: syntax error\n"}` + "\n" +
		`{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}` + "\n" +
		`{"Action":"fail","Package":"q","FailedBuild":"q"}` + "\n"
	panicked = `{"Action":"output","Package":"r","Test":"TestP","Output":"panic: boo\n"}` + "\n" +
		`{"Action":"output","Package":"r","Output":"FAIL\tr\t0.1s\n"}` + "\n" + `{"Action":"fail","Package":"r"}` + "\n"
)

// TestSummary checks what CI relies on: .ci/summary fails when a test failed,
// was skipped, or when none ran, and ends with what the failed tests complained of and the counts.
func TestSummary(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of make quick: it needs python3")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: the program python3 is missing; install it with: sudo apt-get install python3")
	}
	for _, test := range []struct {
		name, input, output string
		good                bool
	}{
		{"passed", passed + closing, "ok  \tp\t0.1s\n1 passed, 0 failed, 0 skipped\n", true},
		{"other lines", "go test ./...\n" + passed + closing,
			"go test ./...\nok  \tp\t0.1s\n1 passed, 0 failed, 0 skipped\n", true},
		{"skipped", passed + skipped + closing, "needs dovecot\nok  \tp\t0.1s\n1 passed, 0 failed, 1 skipped\n", false},
		{"failed", passed + failed + `{"Action":"fail","Package":"p"}`,
			"    f_test.go:7: why\na log\nfailed: p TestF\n    f_test.go:7: why\n" +
				"1 passed, 1 failed, 0 skipped\n", false},
		{"not built", passed + closing + unbuilt,
			"ok  \tp\t0.1s\nq.go:1: syntax error\nFAIL\tq [build failed]\n1 passed, 1 failed, 0 skipped\n", false},
		{"panicked", panicked, "panic: boo\nFAIL\tr\t0.1s\n0 passed, 1 failed, 0 skipped\n", false},
		{"nothing ran", "", "0 passed, 0 failed, 0 skipped\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command("python3", "../../.ci/summary")
			cmd.Stdin = strings.NewReader(test.input)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if (err == nil) != test.good {
				t.Errorf("exit: %v, want success to be %v\n%s", err, test.good, &stderr)
			}
			if string(out) != test.output {
				t.Errorf("output %q, want %q", out, test.output)
			}
		})
	}
}
