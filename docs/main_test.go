package docs

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPages: the pages are there, each under its title.
func TestPages(t *testing.T) {
	for page, title := range map[string]string{Users: "# The file of users\n", Maps: "# Maps: "} {
		if !strings.HasPrefix(page, title) {
			t.Errorf("%.40q does not begin with %q", page, title)
		}
	}
}
