package main

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// transcriptClean are the commands of RFC 9051 and RFC 3501, and of extensions
// that Dovecot offers, which leave nothing on a connection that can't be undone.
// "<" waits for a continuation; each line but those is read to its tag.
var transcriptClean = []string{
	"1 CAPABILITY", "2 NOOP", `3 ID ("name" "transcript")`, "4 NAMESPACE",
	"5 CREATE box", "6 SUBSCRIBE box", `7 LIST "" *`, `8 LSUB "" *`,
	`9 LIST "" * RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)`,
	`10 LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES UNSEEN))`,
	"11 APPEND box (\\Seen) {25+}\r\nSubject: first\r\n\r\nfirst\r\n",
	"12 APPEND box {27}", "<Subject: second\r\n\r\nsecond\r\n\r\n",
	"13 APPEND box {14+}\r\nSubject: a\r\n\r\n {14+}\r\nSubject: b\r\n\r\n",
	"14 STATUS box (MESSAGES UNSEEN RECENT UIDNEXT UIDVALIDITY SIZE)",
	"15 EXAMINE box", "16 FETCH 1:* (FLAGS UID RFC822.SIZE)", "17 CLOSE",
	"18 SELECT box", "19 CHECK", "20 FETCH 1 (ENVELOPE BODYSTRUCTURE BODY[] BINARY.PEEK[1] PREVIEW)",
	"21 STORE 1 +FLAGS (\\Flagged kept)", "22 STORE 2 +FLAGS.SILENT (\\Answered)", "23 SEARCH ALL",
	"24 SEARCH RETURN (MIN MAX COUNT SAVE) SEEN", "25 FETCH $ FLAGS",
	"26 UID SEARCH FLAGGED", "27 UID FETCH 1:* (FLAGS)", "28 UID STORE 1 -FLAGS (kept)", "29 SORT (SUBJECT) UTF-8 ALL",
	"30 THREAD REFERENCES UTF-8 ALL",
	"31 UID SORT RETURN (COUNT) (REVERSE ARRIVAL) UTF-8 ALL", "32 UID THREAD REFERENCES UTF-8 ALL",
	"33 SEARCH OLDER 100000", "34 SEARCH CHARSET UTF-8 SUBJECT first",
	"35 CREATE other", "36 COPY 1 other", "37 MOVE 2 other", "38 UID COPY 1 other", "39 UID MOVE 3 other",
	"40 STORE 1 +FLAGS (\\Deleted)", "41 UID EXPUNGE 99", "42 EXPUNGE", "43 IDLE", "<DONE\r\n", "44 UNSELECT",
	"45 FETCH 1 FLAGS", "46 SELECT nowhere", "47 RENAME other third", "48 DELETE third", "49 UNSUBSCRIBE box",
	"50 SELECT box", "501 UNSELECT", "51 DELETE box",
	"52 CREATE box", "53 DELETE box",
}

// transcriptTainting are those that leave something.
var transcriptTainting = []string{
	"1 ENABLE CONDSTORE QRESYNC", "2 EXAMINE INBOX", "3 FETCH 1 (FLAGS MODSEQ)",
	"4 NOTIFY SET (SELECTED (MessageNew MessageExpunge))",
	"5 SEARCH RETURN (CONTEXT) ALL", "6 STATUS INBOX (HIGHESTMODSEQ)", "7 XUNKNOWN", "8 ENABLE UTF8=ACCEPT",
}

// variable is what Dovecot says differently each time, pool or not.
var variable = regexp.MustCompile(`\([0-9.]+ \+ [0-9.]+ (\+ [0-9.]+ )?secs\)|UIDVALIDITY \d+|APPENDUID \d+|COPYUID ` +
	`\d+|HIGHESTMODSEQ \d+|MODSEQ \(\d+\)`)

// TestPoolTranscript runs the same session twice over a pool of one connection:
// the second reads what the first has read, whether it got the first one's
// connection or, where that could not be, a new one.
func TestPoolTranscript(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		hits  uint64
	}{{"undone", transcriptClean, 2}, {"not undone", transcriptTainting, 0}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newCrossing(t, func(o *backend.PoolOptions) { o.MaxIdle, o.MaxPerUser, o.MaxPerTarget = 1, 1, 1 })
			first := c.transcript(test.lines)
			for range 2 {
				next := c.transcript(test.lines)
				for i := range max(len(first), len(next)) {
					if i >= len(first) || i >= len(next) || first[i] != next[i] {
						t.Errorf("the first session reads\n%q\nthe next one\n%q", first[i:], next[i:])
						break
					}
				}
			}
			for _, s := range c.server.Pools() {
				if s.Target == "even" && s.Hits != test.hits {
					t.Errorf("%d hits, want %d; not used again: %v", s.Hits, test.hits, s.NotReused)
				}
			}
			if err := c.server.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			if len(first) < len(test.lines) {
				t.Errorf("only %d lines", len(first))
			}
			for _, line := range first {
				if strings.Contains(line, " BAD ") &&
					!slices.ContainsFunc([]string{"45 ", "7 ", "8 "},
						func(p string) bool { return strings.HasPrefix(line, p) }) {
					t.Errorf("a command of the script is wrong: %s", line)
				}
			}
		})
	}
}

// transcript runs a session and gives all that it reads.
func (c *crossing) transcript(lines []string) []string {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	commands := append(append([]string{`0 LOGIN u00 "secret of u00"`}, lines...), "999 LOGOUT")
	return steady(converse(c.t, conn, bufio.NewReader(conn), commands))
}

// converse says commands one after the other, reads each answer up to the command's
// tag, or up to a continuation request when what comes next begins with "<", and
// returns all lines.
func converse(t *testing.T, to io.Writer, from *bufio.Reader, commands []string) []string {
	t.Helper()
	var log []string
	tag := ""
	for i, command := range commands {
		text, continues := strings.CutPrefix(command, "<")
		if !continues {
			tag, _, _ = strings.Cut(command, " ")
			text += "\r\n"
		}
		_, err := io.WriteString(to, text)
		try(t, command, err)
		awaits := !continues && i+1 < len(commands) && strings.HasPrefix(commands[i+1], "<")
		for {
			line, err := from.ReadString('\n')
			if err != nil {
				t.Fatalf("after %q: %v\n%s", command, err, strings.Join(log, "\n"))
			}
			log = append(log, strings.TrimRight(line, "\r\n"))
			if strings.HasPrefix(line, tag+" ") || awaits && strings.HasPrefix(line, "+") {
				break
			}
		}
	}
	return log
}

// steady has no value that differs from one session to the next.
func steady(log []string) []string {
	for i, line := range log {
		log[i] = variable.ReplaceAllString(line, "#")
	}
	for i := range log { // Dovecot lists in the file system's order
		for j := i; j > 0 && strings.HasPrefix(log[j], "* LIST ") && strings.HasPrefix(log[j-1], "* LIST ") &&
			log[j] < log[j-1]; j-- {
			log[j], log[j-1] = log[j-1], log[j]
		}
	}
	return log
}
