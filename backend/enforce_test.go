package backend

import (
	"testing"

	"imapproxy/backend/ledger"
)

// TestEnforceUnknown: a backend that has not said what it offers may have
// UNAUTHENTICATE, so no literal goes to it that it could take for commands.
func TestEnforceUnknown(t *testing.T) {
	p, err := ledger.NewPolicy(ledger.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		offered capabilities
		want    string
	}{
		"unknown":        {capabilities{}, "a RENAME {3}\r\n"},
		"UNAUTHENTICATE": {capabilities{list: []string{"UNAUTHENTICATE"}}, "a RENAME {3}\r\n"},
		"neither":        {capabilities{list: []string{"IMAP4rev1"}}, "a RENAME {3+}\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Conn{caps: test.offered}
			c.Enforce(p)
			if got := string(c.Ledger.Forward([]byte("a RENAME {3+}\r\n"))); got != test.want {
				t.Errorf("the backend gets %q, want %q", got, test.want)
			}
		})
	}
}
