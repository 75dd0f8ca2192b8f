package imapproxy

import (
	"regexp"
	"strings"
	"testing"
)

// literalLengths are what may stand between the braces, and how many bytes
// they announce; -1 is none that can be had.
var literalLengths = []struct {
	text string
	size int
}{
	{"0", 0}, {"1", 1}, {"01", 1}, {"8192", 8192}, {"8193", -1},
	{"2147483647", -1}, {"2147483648", -1}, {"4294967296", -1},
	{"9223372036854775808", -1}, {"18446744073709551616", -1}, {strings.Repeat("9", 400), -1},
	{"-1", -1}, {"", -1}, {"1+", -1}, {"1 ", -1}, {" 1", -1}, {"0x1", -1}, {"1\x00", -1}, {"1_0", -1}, {"+1", -1},
}

// TestLiteralLengths announces each length, synchronising or not, to commands
// that take literals and to others. One that can't be had closes the
// connection when its bytes come unasked.
func TestLiteralLengths(t *testing.T) {
	r := newRig(t, withLimits(func(l *Limits) { l.BadCommands, l.FailedLogins = 99, 99 }))
	for _, command := range []string{"LOGIN", "ID (x", "FOOBAR", "NOOP", "AUTHENTICATE PLAIN", "+ LOGIN"} {
		for _, length := range literalLengths {
			for _, mode := range []string{"", "+", "-"} {
				if length.text == "1+" && mode == "" {
					continue // {1++} is meant
				}
				c := r.dial("plain")
				c.send("a %s {%s%s}", command, length.text, mode)
				announced(t, c, command, length.size, length.text+mode)
			}
		}
	}
}

func announced(t *testing.T, c *testClient, command string, size int, braces string) {
	t.Helper()
	mode := braces[len(braces)-min(1, len(braces)):]
	waits := mode != "+" && mode != "-"
	takes := strings.HasPrefix(command, "LOGIN") || strings.HasPrefix(command, "ID")
	tag := "[a*]"
	switch {
	case waits && (!takes || size < 0):
		c.expect(tag + ` BAD .*`)
	case waits:
		c.expect(`\+ .*`)
		c.write(strings.Repeat("b", size) + "\r\n")
		c.expect(tag + ` BAD .*`)
	case size < 0:
		c.expect(tag + ` BAD .*`)
		c.expectBye(`.*`)
		return
	default:
		c.write(strings.Repeat("b", size) + "\r\n")
		if got := c.line(); !regexp.MustCompile(`^` + tag + ` (BAD|OK) `).MatchString(got) {
			t.Errorf("%s {%s}: %q", command, braces, got)
		}
	}
	c.send("z NOOP")
	c.expect(`z OK NOOP completed`)
	c.send("y LOGOUT")
	c.expect(`\* BYE .*`)
	c.expect(`y OK .*`)
	c.expectEOF()
}
