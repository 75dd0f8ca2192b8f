package load

import (
	"testing"

	"go.uber.org/goleak"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

func TestMain(m *testing.M) {
	rigtest.RunCommand(map[string]rigtest.Command{"backend": rig.RunBackend, "authserver": rig.RunAuthServer})
	goleak.VerifyTestMain(m)
}
