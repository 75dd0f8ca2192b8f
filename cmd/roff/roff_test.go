package roff

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPage: nothing in a text is taken for a request or an escape.
func TestPage(t *testing.T) {
	p := New("a", "8", "v1-2", "does it")
	p.Section("Options")
	p.Part(`of "x"`)
	p.Text("one\n.two\n'three\n\nC:\\four")
	p.Verbatim("  as\n.is\n")
	p.Item("--flag N", "means -1")
	want := `.TH A 8 "" "imapproxy v1\-2"
.SH NAME
a \- does it
.SH "OPTIONS"
.SS "of ""x"""
.PP
one
\&.two
\&'three
.PP
C:\efour
.nf
  as
\&.is
.fi
.TP
.B "\-\-flag N"
means \-1
`
	if got := p.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
