//go:build soak

package exits

import (
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

// TestSoakExitsDavMail runs every cell through our proxy, which leaves none of DavMail's sockets.
func TestSoakExitsDavMail(t *testing.T) {
	rigtest.NeedDavMail(t)
	for key, left := range davMailExits(t, "--self", ownProgram(t), "--sessions", "30") {
		if !strings.HasPrefix(left, "0/0/") {
			t.Errorf("%s: %s left", key, left)
		}
	}
}
