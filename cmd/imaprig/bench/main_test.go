package bench

import (
	"testing"

	"go.uber.org/goleak"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

func TestMain(m *testing.M) {
	rigtest.RunCommand(map[string]rigtest.Command{"backend": rig.RunBackend, "authserver": rig.RunAuthServer,
		"load": load.Run})
	goleak.VerifyTestMain(m)
}
