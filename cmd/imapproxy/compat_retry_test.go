package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imapproxy/scripts/dialogue"
)

// TestCompatRetries says that nothing of a refused login is left in the next:
// three refused ones by each order of three mechanisms, then a good one
// (CVE-2026-27651 was such a rest, of CRAM-MD5 after Auth-Wait).
func TestCompatRetries(t *testing.T) {
	notQuick(t) // it waits as long as the auth server says
	mechanisms := []string{"PLAIN", "CRAM-MD5", "XOAUTH2"}
	for i := range 27 {
		order := []string{mechanisms[i/9], mechanisms[i/3%3], mechanisms[i%3], mechanisms[(i+i/9)%3]}
		t.Run(strings.Join(order, " "), func(t *testing.T) {
			t.Parallel()
			b := &backendScript{}
			a := &authScript{backend: acting(t, b.serve), answers: []string{
				"Auth-Status: No | Auth-Wait: 1", "Auth-Status: No | Auth-Wait: 1", "Auth-Status: No | Auth-Wait: 1",
				"Auth-Status: OK | Auth-Pass: good | $backend",
			}}
			folder := t.TempDir()
			mustWrite(t, filepath.Join(folder, "nginx.conf"), fmt.Sprintf(
				"mail { server_name x.example; auth_http 127.0.0.1:%d; server { listen 127.0.0.1:1; protocol imap; "+
					"imap_auth plain cram-md5 xoauth2; } }", acting(t, a.serve)))
			side := startConverted(t, folder, a.backend)
			refuseInOrder(t, side, order)
			for n, question := range a.questions() {
				checkQuestion(t, n, order[n], question)
			}
			if logins, _ := b.seen(); len(logins) != 1 || logins[0] != "user3 good" {
				t.Errorf("the backend's logins: %q", logins)
			}
		})
	}
}

// refuseInOrder logs in by each mechanism; the last is the good one.
func refuseInOrder(t *testing.T, side *compatSide, order []string) {
	t.Helper()
	conn, err := net.Dial("tcp", side.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	expect := func(want string) {
		t.Helper()
		if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("got %q, %v; want %q", line, err, want)
		}
	}
	expect("* OK")
	for n, mechanism := range order {
		_, _ = fmt.Fprintf(conn, "t%d AUTHENTICATE %s\r\n", n, mechanism)
		expect("+ ")
		_, _ = fmt.Fprintf(conn, "%s\r\n", base64.StdEncoding.EncodeToString([]byte(retryMessage(mechanism, n))))
		if n < 3 {
			expect(fmt.Sprintf("t%d NO No", n))
		} else {
			expect(fmt.Sprintf("t%d OK ", n))
		}
	}
}

func retryMessage(mechanism string, n int) string {
	switch mechanism {
	case "PLAIN":
		return fmt.Sprintf("\x00user%d\x00pass%d", n, n)
	case "CRAM-MD5":
		return fmt.Sprintf("user%d %032d", n, n)
	}
	return fmt.Sprintf("user=user%d\x01auth=Bearer token%d\x01\x01", n, n)
}

// checkQuestion holds the n-th question against what its own try said.
func checkQuestion(t *testing.T, n int, mechanism, question string) {
	t.Helper()
	secret := map[string]string{"PLAIN": "pass%d", "CRAM-MD5": "%032d", "XOAUTH2": "token%d"}[mechanism]
	for _, want := range []string{
		fmt.Sprintf("Auth-User: user%d\r\n", n), "Auth-Pass: " + fmt.Sprintf(secret, n) + "\r\n",
		fmt.Sprintf("Auth-Login-Attempt: %d\r\n", n+1), "Auth-Method: " + strings.ToLower(mechanism) + "\r\n",
	} {
		if !strings.Contains(question, want) {
			t.Errorf("question %d lacks %q:\n%s", n, want, question)
		}
	}
	if strings.Contains(question, "Auth-Salt") != (mechanism == "CRAM-MD5") {
		t.Errorf("question %d by %s:\n%s", n, mechanism, question)
	}
}

// TestListenersAskTheirOwn logs in on the second of two converted servers that
// ask two auth servers.
func TestListenersAskTheirOwn(t *testing.T) {
	b := &backendScript{}
	first := &authScript{backend: acting(t, b.serve), answers: []string{"Auth-Status: No"}}
	second := &authScript{backend: first.backend, answers: []string{"Auth-Status: OK | $backend"}}
	folder := t.TempDir()
	mustWrite(t, filepath.Join(folder, "nginx.conf"), fmt.Sprintf(`mail { server_name x.example;
		server { listen 127.0.0.1:1; protocol imap; auth_http 127.0.0.1:%d; }
		server { listen 127.0.0.1:2; protocol imap; auth_http 127.0.0.1:%d; } }`,
		acting(t, first.serve), acting(t, second.serve)))
	side := startConvertedAt(t, folder, first.backend, 1)
	conn, err := net.Dial("tcp", side.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := &compatClient{conn: conn, in: bufio.NewReader(conn), since: time.Now()}
	for _, s := range []dialogue.Step{{Verb: "S:", Text: "* OK IMAP4 ready"}, {Verb: "C:", Text: "a1 LOGIN joe secret"},
		{Verb: "S~", Text: "a1 OK .*"}} {
		if problem := c.step(t, side, s); problem != "" {
			t.Fatalf("%s: %s\n%s", s.Text, problem, side.log())
		}
	}
	if len(first.questions()) != 0 || len(second.questions()) != 1 {
		t.Errorf("%d and %d questions", len(first.questions()), len(second.questions()))
	}
}
