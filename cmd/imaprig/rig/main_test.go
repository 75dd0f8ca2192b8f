package rig

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asFirstThread) != "" {
		os.Exit(leaveFirstThread())
	}
	rigtest.RunCommand(map[string]rigtest.Command{"backend": RunBackend, "authserver": RunAuthServer})
	goleak.VerifyTestMain(m)
}
