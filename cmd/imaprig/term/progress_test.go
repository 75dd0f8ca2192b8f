package term

import (
	"strings"
	"testing"
	"time"
)

// TestProgress shows each kind of text on a terminal and elsewhere. What Say says at once is too early.
func TestProgress(t *testing.T) {
	for terminal, want := range map[bool]string{
		false: "load 1/2 done\nload: 30 %\n",
		true:  "\r\x1b[Kload: cell 1\r\x1b[Kload: 30 %\r\x1b[K",
	} {
		var out strings.Builder
		p := NewProgress(&out, "load")
		p.terminal = terminal
		p.Say("%d %%", 10)
		p.Draw("cell %d", 1)
		p.Line("%d/%d done", 1, 2)
		p.last = time.Time{}
		p.Say("%d %%", 30)
		p.Say("%d %%", 31)
		p.End()
		if out.String() != want {
			t.Errorf("terminal %v: got %q, want %q", terminal, out.String(), want)
		}
	}
}
