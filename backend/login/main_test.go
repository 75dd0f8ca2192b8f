package login

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAnswerForTheLog leaves out the word that the log's message has.
func TestAnswerForTheLog(t *testing.T) {
	for line, want := range map[string]string{
		"NO [EXPIRED] too old": "[EXPIRED] too old", "NO": "", "": "",
	} {
		if got := (Answer{Line: line}).String(); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
