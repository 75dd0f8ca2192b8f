package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// serverDialogue is what a client says to each of the servers, and leaves nothing
// on a connection that can't be undone; see converse. "~" is where a mailbox may
// be made: the prefix of the user's own namespace.
var serverDialogue = []string{
	"1 CAPABILITY", "2 NOOP", "3 NAMESPACE", `4 LIST "" "*"`,
	"5 CREATE ~box", "6 CREATE ~other", "7 SUBSCRIBE ~box", `8 LSUB "" "*"`,
	"9 APPEND ~box (\\Seen) {25}", "<Subject: first\r\n\r\nfirst\r\n\r\n",
	"10 APPEND ~box (\\Draft) \"01-Feb-2020 03:04:05 +0600\" {27}", "<Subject: second\r\n\r\nsecond\r\n\r\n",
	"11 STATUS ~box (MESSAGES UNSEEN UIDNEXT)", "12 SELECT ~nowhere", "13 EXAMINE ~box",
	"14 FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE BODYSTRUCTURE)", "15 FETCH 2 INTERNALDATE", "16 CLOSE",
	"17 SELECT ~box", "18 FETCH 1 BODY[]", "19 FETCH 2 BODY.PEEK[HEADER]", "20 FETCH 2 BODY.PEEK[]<3.10>",
	"21 STORE 1 +FLAGS (\\Flagged)", "22 STORE 2 -FLAGS.SILENT (\\Draft)", "23 SEARCH ALL", "24 UID SEARCH FLAGGED",
	`25 SEARCH SUBJECT "second"`, "26 COPY 1 ~other", "27 UID FETCH 1:* FLAGS", "28 CHECK", "29 FETCH 99 FLAGS",
	"30 IDLE", "<DONE\r\n", "31 STORE 1 +FLAGS (\\Deleted)", "32 EXPUNGE", "33 FETCH 1 FLAGS", "34 CLOSE",
	"35 STATUS ~other (MESSAGES)", "36 RENAME ~other ~third", "37 DELETE ~third", "38 UNSUBSCRIBE ~box",
	"39 DELETE ~box", "40 DELETE ~nowhere",
}

// inMailbox puts the user's namespace before the names of mailboxes.
func (s serverKind) inMailbox(commands []string) []string {
	out := slices.Clone(commands)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], " ~", " "+s.namespace)
	}
	return out
}

// withheld are the capabilities that a client reads from a server and not through
// the proxy, which has logged in and protected the connection already.
var withheld = regexp.MustCompile(
	` (AUTH=[A-Z0-9-]+|STARTTLS|LOGINDISABLED|SASL-IR|COMPRESS=DEFLATE|LOGIN-REFERRALS|MAILBOX-REFERRALS)\b`)

// serverVariable is what these servers say differently each time.
var serverVariable = regexp.MustCompile(`\d+\.\d+ secs?( \d+ calls)?|INTERNALDATE "[^"]+"|MAILBOXID \([^)]*\)`)

// TestServers holds real mail servers, directly and through the proxy, to one dialogue
// and one list of checks. TestSoakServers has all of them.
func TestServers(t *testing.T) {
	t.Parallel() // most of it is waiting
	for _, kind := range serverKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			checkServer(t, kind, false)
		})
	}
}

// checkServer runs all checks of a server.
func checkServer(t *testing.T, kind serverKind, thorough bool) {
	r := newServerRig(t, kind)
	r.thorough = thorough
	for _, check := range []struct {
		name string
		run  func(*testing.T, *serverRig)
	}{
		{"login", checkServerLogins},
		{"as direct", checkServerAnswers},
		{"IDLE", checkServerIdle},
		{"big message", checkServerBig},
		{"endings", checkServerEndings},
		{"two users", checkServerUsers},
		{"handed over", checkServerHandOver},
	} {
		t.Run(check.name, func(t *testing.T) { check.run(t, r) })
		r.settles(t)
	}
	r.stop(t)
	for _, user := range serverUsers {
		if n := r.messages(t, user); n != 1 {
			t.Errorf("INBOX of %s has %d messages at the end, want the one of the start", user, n)
		}
	}
}

// messages is how many INBOX of the user has.
func (r *serverRig) messages(t *testing.T, user string) (n int) {
	t.Helper()
	for _, text := range open(t, r.server.endpoint(plain)).converse(t, user, "a EXAMINE INBOX") {
		if number, found := strings.CutSuffix(text, " EXISTS"); found {
			_, err := fmt.Sscanf(number, "* %d", &n)
			try(t, text, err)
		}
	}
	return n
}

// checkServerLogins wants the server to judge each login, and each user to find the
// own mail, whichever way client and proxy come.
func checkServerLogins(t *testing.T, r *serverRig) {
	var running sync.WaitGroup // t.Parallel would run as many as there are processors
	defer running.Wait()
	for i, user := range serverUsers {
		if user == "joe" {
			continue
		}
		m := []mode{plain, startTLS, tlsFirst}[i%3]
		login := func(t *testing.T) {
			l := open(t, r.endpoint(m))
			if got := l.command(t, "a LOGIN "+user+" wrong", "a "); !strings.HasPrefix(got, r.server.wrongPassword) {
				t.Errorf("a wrong password is answered by %q, want %q", got, r.server.wrongPassword)
			}
			l.login(t, serverAccount(user))
			l.command(t, "b EXAMINE INBOX", "b OK")
			log := strings.Join(converse(t, l, l.r, []string{"c FETCH 1 BODY.PEEK[HEADER]"}), "\n")
			if !strings.Contains(log, "\nSubject: "+subjectOf(user)+"\n") {
				t.Errorf("%s reads\n%s", user, log)
			}
			l.command(t, "x LOGOUT", "* BYE")
			l.expect(t, "x OK")
			l.expectEnd(t)
			if !r.server.lateID {
				r.server.hasLogged(t, r.server.logsID)
			}
			if r.secures(user) {
				r.server.hasLogged(t, fmt.Sprintf(r.server.logsTLS, user))
			}
		}
		// Courier makes whoever has a wrong password wait.
		running.Go(func() { t.Run(fmt.Sprint(user, " ", m), login) })
	}
}

// hasLogged waits for a line in the server's log, a regular expression.
func (s *mailServer) hasLogged(t *testing.T, line string) {
	t.Helper()
	pattern := regexp.MustCompile(line)
	eventually(t, "log of "+s.name, func() (bool, string) {
		log := s.log()
		return pattern.MatchString(log), "without " + line + ":\n" + log
	})
}

// secures reports whether a session of the user is to have TLS at the server and, by
// what the log says at its end, can be seen to have it.
func (r *serverRig) secures(user string) bool {
	for _, route := range serverRoutes {
		if route.user == user {
			return route.tls != "off" && !route.pool && r.server.logsTLS != ""
		}
	}
	return false // by a route of another user's
}

// checkServerAnswers wants the dialogue to be answered as it is directly, on each way
// to the server, and also on a connection that the pool hands over.
func checkServerAnswers(t *testing.T, r *serverRig) {
	commands := r.server.inMailbox(append(slices.Clone(serverDialogue), r.server.more...))
	want := withoutFarewell(open(t, r.server.endpoint(startTLS)).converse(t, "joe", commands...))
	if len(want) < 2*len(serverDialogue) {
		t.Errorf("the server says too little to be compared:\n%s", strings.Join(want, "\n"))
	}
	var running sync.WaitGroup
	defer running.Wait()
	for _, route := range serverRoutes {
		answers := func(t *testing.T) {
			before := r.pool(t, route.target).Hits
			for range 2 {
				got := open(t, r.endpoint(plain)).converse(t, route.user, commands...)
				compareAnswers(t, withoutFarewell(got), want)
				r.rested(t, route.target)
				if !route.pool {
					return
				}
			}
			if r.pool(t, route.target).Hits == before {
				t.Errorf("neither session had a used connection: %v", r.pool(t, route.target))
			}
		}
		// Courier takes its time to delete a mailbox.
		running.Go(func() { t.Run(route.target, answers) })
	}
}

// withoutFarewell has no answer to LOGOUT, and only what a client reads both of the
// server and of the proxy.
func withoutFarewell(log []string) []string {
	var out []string
	for _, text := range log[:len(log)-1] {
		text = withheld.ReplaceAllString(serverVariable.ReplaceAllString(text, "#"), "")
		if words := strings.Fields(text); strings.HasPrefix(text, "* CAPABILITY") {
			slices.Sort(words)
			text = strings.Join(words, " ")
		}
		if !strings.HasPrefix(text, "* BYE") {
			out = append(out, text)
		}
	}
	return out
}

// compareAnswers shows where two logs begin to differ.
func compareAnswers(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("the proxy's client reads\n%s\ndirectly it is\n%s",
				strings.Join(got[min(i, len(got)):], "\n"), strings.Join(want[min(i, len(want)):], "\n"))
			return
		}
	}
}
