package rig

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestChildTellsWhyNot(t *testing.T) {
	_, err := startChild("it", exec.Command("/no/such/program"))
	rigtest.CheckError(t, err, "start it: ")
	c, err := startChild("it", exec.Command("sh", "-c", `trap "" TERM; echo ready >&2; sleep 100 & wait; wait`))
	if err != nil {
		t.Fatal(err)
	}
	rigtest.Eventually(t, func() error {
		if c.stderr.String() != "ready" {
			return syscall.EAGAIN
		}
		return nil
	})
	rigtest.CheckError(t, c.Stop(50*time.Millisecond), "did not end within 50ms of SIGTERM and was killed")
}
