package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// serverWays are two users, the first of whom has a connection for each session and
// the second one of the pool.
var serverWays = []string{"cat", "ann"}

// checkServerIdle wants a client in IDLE to be told of a new message, at once or, where
// the server does so, when IDLE ends.
func checkServerIdle(t *testing.T, r *serverRig) {
	for _, user := range serverWays {
		l := open(t, r.endpoint(plain))
		l.enter(t, user)
		l.command(t, "a SELECT INBOX", "a OK")
		l.command(t, "b IDLE", "+")
		log := open(t, r.server.endpoint(plain)).converse(t, user, "a APPEND INBOX {17}", "<Subject: news\r\n\r\n\r\n")
		if !strings.Contains(strings.Join(log, "\n"), "\na OK") {
			t.Fatalf("%s does not take a message:\n%s", r.server.name, strings.Join(log, "\n"))
		}
		if r.server.lateIdle {
			l.send(t, "DONE\r\n")
		}
		l.expect(t, "* 2 EXISTS")
		if !r.server.lateIdle {
			l.send(t, "DONE\r\n")
		}
		l.expect(t, "b OK")
		l.discardSecond(t)
	}
}

// discardSecond removes the second message of the mailbox that is selected, and leaves.
func (l *line) discardSecond(t *testing.T) {
	t.Helper()
	l.command(t, `u STORE 2 +FLAGS (\Deleted)`, "u OK")
	l.command(t, "v EXPUNGE", "v OK")
	l.command(t, "x LOGOUT", "x OK")
	l.expectEnd(t)
}

// checkServerBig sends a message of 5 MB through the proxy, and wants the same bytes
// back, through the proxy and directly. Never do two sessions have the mailbox
// selected: imap4d then answers EXPUNGE by OK and keeps the message.
func checkServerBig(t *testing.T, r *serverRig) {
	for _, user := range serverWays {
		sent := bigMessage("big of " + user)
		l := open(t, r.endpoint(plain))
		l.enter(t, user)
		l.command(t, fmt.Sprintf(`a APPEND INBOX (\Seen) {%d}`, len(sent)), "+")
		l.send(t, string(sent)+"\r\n")
		l.expect(t, "a OK")
		straight := open(t, r.server.endpoint(plain))
		straight.enter(t, user)
		if got := straight.fetchSecond(t); sum(got) != sum(sent) {
			t.Errorf("%s reads %s directly, sent was %s", user, sum(got), sum(sent))
		}
		straight.command(t, "x LOGOUT", "x OK")
		straight.expectEnd(t)
		if got := l.fetchSecond(t); sum(got) != sum(sent) {
			t.Errorf("%s reads %s through the proxy, sent was %s", user, sum(got), sum(sent))
		}
		l.discardSecond(t)
	}
}

// fetchSecond selects INBOX and reads its second message.
func (l *line) fetchSecond(t *testing.T) []byte {
	t.Helper()
	l.command(t, "s SELECT INBOX", "s OK")
	head := strings.TrimSpace(l.command(t, "f FETCH 2 BODY.PEEK[]", "* 2 FETCH"))
	var size int
	_, err := fmt.Sscanf(head[strings.LastIndexByte(head, '{')+1:], "%d}", &size)
	try(t, head, err)
	message := make([]byte, size)
	_, err = io.ReadFull(l.r, message)
	try(t, "fetch", err)
	l.expect(t, "f OK")
	return message
}

// checkServerEndings leaves in all ways, and wants nothing to be left after each.
func checkServerEndings(t *testing.T, r *serverRig) {
	for _, ending := range endings {
		t.Run(ending.name, func(t *testing.T) {
			from := r.process.written(t)
			for _, user := range serverWays {
				l := open(t, r.endpoint(plain))
				l.login(t, serverAccount(user))
				ending.leave(t, l)
			}
			r.settles(t)
			r.endedInOrder(t, from, ending.name)
		})
	}
}

// endedInOrder waits until the log has how the connections to the server have ended
// that were left in the way of this name.
func (r *serverRig) endedInOrder(t *testing.T, from int, name string) {
	t.Helper()
	left := slices.Clone(serverWays)
	eventually(t, "ends of sessions in the log", func() (bool, string) {
		all := r.process.endings(t, from)
		for _, e := range all {
			i := slices.Index(left, e.User)
			if i < 0 {
				continue
			}
			left = slices.Delete(left, i, i+1)
			if wants := endsBy(name, e.User == "ann"); !slices.Contains(wants, e.BackendEnd) {
				t.Errorf("%s's connection to %s has ended by %q, want %q", e.User, r.server.name, e.BackendEnd, wants)
			}
		}
		return len(left) == 0, fmt.Sprint(all)
	})
}

// endsBy returns how a connection may end whose session has ended so: not at all,
// which is "", where the pool keeps it; else by LOGOUT, which is not possible in the
// middle of a literal.
func endsBy(name string, pooled bool) []string {
	switch {
	case strings.HasSuffix(name, "in a literal"):
		return []string{"cut"}
	case strings.HasSuffix(name, "in a command"): // unless the reset takes it back
		return []string{"cut", "logout"}
	case pooled && !strings.HasPrefix(name, "reset"):
		return []string{""}
	}
	return []string{"logout"}
}

// checkServerUsers has two users take turns with the connections of one pool.
func checkServerUsers(t *testing.T, r *serverRig) {
	before := r.pool(t, "pooled").Hits
	for range 3 {
		for _, user := range []string{"ann", "bob"} {
			l := open(t, r.endpoint(plain))
			log := strings.Join(l.converse(t, user, "a EXAMINE INBOX", "b FETCH 1 BODY.PEEK[HEADER]"), "\n")
			if !strings.Contains(log, "\nSubject: "+subjectOf(user)+"\n") {
				t.Errorf("%s reads\n%s", user, log)
			}
			r.rested(t, "pooled")
		}
	}
	if hits := r.pool(t, "pooled").Hits - before; hits < 4 {
		t.Errorf("%d of 6 sessions had a used connection, want 4 at least", hits)
	}
	r.server.hasLogged(t, r.server.logsID)
}

// handOvers are what one session leaves for the next. The server is asked for each
// again, on a connection that nothing has been said on.
var handOvers = []struct {
	name   string
	says   []string
	reused bool // by the next session, on each server
}{
	{"nothing", nil, true},
	{"a mailbox", []string{"a SELECT INBOX"}, true},
	{"a mailbox to read", []string{"a EXAMINE INBOX", "b FETCH 1 FLAGS"}, true},
	{"a deleted message", []string{"a SELECT INBOX", `b STORE 1 +FLAGS (\Deleted)`}, true},
	{"IDLE", []string{"a SELECT INBOX", "b IDLE", "<DONE\r\n"}, true},
	{"ENABLE", []string{"a ENABLE CONDSTORE", "b SELECT INBOX"}, false},
	{"ENABLE UTF8", []string{"a ENABLE UTF8=ACCEPT"}, false},
	{"CONDSTORE", []string{"a SELECT INBOX (CONDSTORE)"}, false},
	{"a search's result", []string{"a SELECT INBOX", "b SEARCH RETURN (SAVE) ALL"}, true},
	{"an unknown command", []string{"a XUNKNOWN"}, false},
}

// handOverProbe finds what a connection has: a mailbox, an extension, a result.
var handOverProbe = []string{"p FETCH 1 FLAGS", "q FETCH $ FLAGS", "r EXAMINE INBOX", "s FETCH 1:* (UID FLAGS)",
	"t FETCH $ FLAGS", "u SEARCH DELETED"}

// checkServerHandOver wants a session to read what it would on a new connection,
// whatever the one before it has done there, and however it ended: half of the
// combinations, or all in a thorough test.
func checkServerHandOver(t *testing.T, r *serverRig) {
	for i, over := range handOvers {
		for j, ending := range []string{"logout", "close"} {
			if !r.thorough && i%2 != j {
				continue
			}
			t.Run(over.name+" "+ending, func(t *testing.T) {
				first := open(t, r.endpoint(plain))
				first.enter(t, "ann")
				converse(t, first, first.r, over.says)
				if ending == "logout" {
					first.command(t, "x LOGOUT", "x OK")
				}
				try(t, "close", first.Close())
				r.rested(t, "pooled")
				before := r.pool(t, "pooled").Hits
				got := open(t, r.endpoint(plain)).converse(t, "ann", handOverProbe...)
				want := open(t, r.server.endpoint(startTLS)).converse(t, "ann", handOverProbe...)
				compareAnswers(t, withoutFarewell(got), withoutFarewell(want))
				if !strings.Contains(strings.Join(want, "\n"), "\n* 1 FETCH ") {
					t.Errorf("the message is gone:\n%s", strings.Join(want, "\n"))
				}
				r.rested(t, "pooled")
				if reused := r.pool(t, "pooled").Hits > before; reused != over.reused {
					t.Errorf("the connection is used again: %v, want %v; %v", reused, over.reused, r.pool(t, "pooled"))
				}
				if over.name == "a deleted message" {
					l := open(t, r.server.endpoint(plain))
					l.converse(t, "ann", "a SELECT INBOX", `b STORE 1 -FLAGS (\Deleted)`)
				}
			})
		}
	}
}
