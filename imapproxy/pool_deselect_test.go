package imapproxy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// withoutUnselect is a mailbox server that lacks UNSELECT. It deselects when SELECT fails, or keeps
// the mailbox then, as DavMail does. disturb, which may be nil, may answer a question of the proxy's
// in its place; they are counted from 1.
func withoutUnselect(keeps bool, disturb func(c *backendConn, tag string, question int) bool) backendScript {
	var mu sync.Mutex
	selected, questions := map[*backendConn]bool{}, map[*backendConn]int{}
	return pooledOffering("IMAP4rev1 IDLE", func(c *backendConn, tag, rest string) bool {
		mu.Lock()
		defer mu.Unlock()
		name, argument, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(tag, "P") {
			questions[c]++
		}
		switch {
		case strings.HasPrefix(tag, "P") && disturb != nil && disturb(c, tag, questions[c]):
		case name == "SELECT" || name == "EXAMINE":
			if argument != "INBOX" {
				selected[c] = selected[c] && keeps
				c.send("%s NO no such mailbox", tag)
				return true
			}
			selected[c] = true
			c.send("* 3 EXISTS\r\n%s OK selected", tag)
		case name == "UID" && selected[c]:
			c.send("* 1 FETCH (UID 1)\r\n%s OK fetched", tag)
		case name == "UID":
			c.send("%s BAD no mailbox is selected", tag)
		case name == "UNSELECT":
			c.send("%s BAD no such command", tag)
		default:
			return false
		}
		return true
	})
}

// Where UNSELECT is missing a SELECT that fails replaces it, if the backend deselects then. The
// next session of the same user finds no mailbox selected, and another user gets another connection.
func TestPoolDeselects(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(withoutUnselect(false, nil)))
	for range 3 {
		c := r.login("plain", "jane")
		c.send("1 UID FETCH 1 (UID)")
		c.expect("1 BAD no mailbox is selected")
		c.send("2 SELECT INBOX")
		c.expect(`\* 3 EXISTS`)
		c.expect("2 OK selected")
		c.leaveByLogout()
		r.awaitIdle(1)
	}
	c := r.login("plain", "joe")
	c.send("1 UID FETCH 1 (UID)")
	c.expect("1 BAD no mailbox is selected")
	c.leaveByLogout()
	r.awaitIdle(2)
	if got := r.backend.logins(); len(got) != 2 || got[0].user != "jane" || got[1].user != "joe" {
		t.Errorf("logins %v, want one of jane and one of joe", got)
	}
	got := r.backend.conn(0).relayed()
	if strings.Contains(got, "CLOSE") || strings.Contains(got, "UNSELECT") || strings.Count(got, "EXAMINE") != 3 {
		t.Errorf("the backend gets %q", got)
	}
}

// A backend that keeps the mailbox in spite of its NO is found out, once in the life of its pool; none of its
// connections is used again while a mailbox is or may be selected, but others are.
func TestPoolMailboxKept(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(withoutUnselect(true, nil)))
	leave := func(commands ...string) {
		c := r.login("plain", "jane")
		for i, command := range commands {
			c.send("%d %s", i, command)
			if command == "SELECT INBOX" {
				c.expect(`\* 3 EXISTS`)
			}
			c.expect(".*")
		}
		c.leaveByLogout()
		r.await("the session's end", func() bool { return r.server.Sessions() == 0 })
	}
	leave("SELECT INBOX", "SELECT nowhere")
	leave("SELECT INBOX")
	leave("SELECT INBOX")
	r.restful()
	if r.idle() != 0 || r.notReused("no_unselect") != 3 || len(r.backend.logins()) != 3 {
		t.Errorf("%d idle, not used again: %v", r.idle(), r.server.Pools()[0].NotReused)
	}
	for i, examines := range []int{0, 1, 0} {
		if got := r.backend.conn(i).relayed(); strings.Count(got, "EXAMINE") != examines {
			t.Errorf("connection %d gets %q", i, got)
		}
	}
	leave("NOOP")
	leave("SELECT nowhere")
	r.awaitIdle(1)
	if n := len(r.backend.logins()); n != 4 {
		t.Errorf("%d logins: a connection without a mailbox was not used again", n)
	}
}

// A backend that makes every mailbox it is asked for is asked once.
func TestPoolMailboxMade(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(withoutUnselect(false, func(c *backendConn, tag string, n int) bool {
		if n == 2 {
			c.send("%s OK [READ-ONLY] made", tag)
		}
		return n == 2
	})))
	for range 2 {
		c := r.login("plain", "jane")
		c.send("1 SELECT INBOX")
		c.expect(`\* 3 EXISTS`)
		c.expect("1 OK selected")
		c.leaveByLogout()
		r.await("the session's end", func() bool { return r.server.Sessions() == 0 })
	}
	r.restful()
	if r.idle() != 0 || r.notReused("no_unselect") != 2 {
		t.Errorf("%d idle, not used again: %v", r.idle(), r.server.Pools()[0].NotReused)
	}
	first, second := r.backend.conn(0).relayed(), r.backend.conn(1).relayed()
	if !strings.Contains(first, "EXAMINE") || strings.Contains(second, "EXAMINE") {
		t.Errorf("the backend gets %q, then %q", first, second)
	}
}

// What comes in the place of an answer ends the connection, whichever answer it is.
func TestPoolDeselectDisturbed(t *testing.T) {
	disturbances := map[string]func(c *backendConn){
		"closed": (*backendConn).close,
		"reset":  (*backendConn).reset,
		"bye":    func(c *backendConn) { c.send("* BYE enough") },
		"junk":   func(c *backendConn) { c.send("junk") },
		"silent": nil,
	}
	for name, act := range disturbances {
		for question := 1; question <= 4; question++ { // two of a message, EXAMINE and NOOP
			t.Run(fmt.Sprintf("%s/%d", name, question), func(t *testing.T) {
				clock := newFakeClock()
				disturb := func(c *backendConn, _ string, n int) bool {
					if n == question && act != nil {
						act(c)
					}
					return n == question
				}
				r := newRig(t, withClock(clock), withPool(nil), withScript(withoutUnselect(false, disturb)))
				c := r.login("plain", "jane")
				c.send("1 SELECT INBOX")
				c.expect(`\* 3 EXISTS`)
				c.expect("1 OK selected")
				c.leaveByLogout()
				if act == nil {
					clock.awaitTimer(t, timerReset, 2*time.Second)
					clock.fire(timerReset)
					r.await("LOGOUT at the slow backend", func() bool {
						return strings.HasSuffix(r.backend.conn(0).relayed(), "\r\nX9 LOGOUT\r\n")
					})
				}
				r.restful()
				if r.idle() != 0 || r.notReused("reset_failed") != 1 {
					t.Errorf("%d idle, not used again: %v", r.idle(), r.server.Pools()[0].NotReused)
				}
			})
		}
	}
}
