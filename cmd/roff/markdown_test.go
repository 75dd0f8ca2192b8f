package roff

import "testing"

// TestMarkdown: what a page of docs has, and nothing in it is taken for a request or an
// escape.
func TestMarkdown(t *testing.T) {
	p := New("a", "5", "v1", "is it")
	p.Markdown("# Title\n\n## The `first`\n\nSome `.code`\nand **bold\ntext** and [here](b.md),\n" +
		".dot [there](https://x.org/-).\n\n### Part\n```toml\n  .a = 1\n'b\n```\n\n    cmd \\1\n      more\n\n" +
		"- one\n  `two`\n- three\n\n1. first\n2. second\n\n" +
		"| a | b |\n|---|---|\n| `x`, `y\\|z` | is `b` |\n| [q](r.md) | it |\n\n" +
		"| a | b | c |\n|---|---|---|\n| 1 | 2 | `3` |\nend")
	want := `.TH A 5 "" "imapproxy v1"
.nh
.ad l
.SH NAME
a \- is it
.SH "THE FIRST"
.PP
Some \fB.code\fR
and \fBbold
text\fR and here,
\&.dot there (https://x.org/\-).
.SS "Part"
.PP
.RS 4
.nf
  .a = 1
\&'b
.fi
.RE
.PP
.RS 4
.nf
cmd \e1
  more
.fi
.RE
.IP \(bu 3
one
\fBtwo\fR
.IP \(bu 3
three
.IP 1. 3
first
.IP 2. 3
second
.TP
.B "x, y|z"
is \fBb\fR
.TP
.B "q"
it
.TP
.B "1"
b: 2; c: \fB3\fR
.PP
end
`
	if got := p.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
