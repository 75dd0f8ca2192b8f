package roff

import (
	"strings"
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
.nh
.ad l
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

// TestTable: rows stay rows, and lines that are indented stay lines; a paragraph with
// two spaces somewhere is neither.
func TestTable(t *testing.T) {
	p := New("a", "8", "v1", "does it")
	p.Text("Words:\n\nONE       first\nNOT REUSED  second\n            half\n.x  dot\n\n    a b\n    c d\n\n" +
		"A sentence.  Another\nline.")
	const want = `.PP
Words:
.TP
.B "ONE"
first
.TP
.B "NOT REUSED"
second
half
.TP
.B ".x"
dot
.PP
.nf
    a b
    c d
.fi
.PP
A sentence.  Another
line.
`
	if got := p.String(); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
