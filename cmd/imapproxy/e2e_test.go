package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
)

// TestHarness runs the clients past the proxy: a failure here is none of the
// proxy's.
func TestHarness(t *testing.T) {
	t.Parallel() // most of it is waiting
	one := startDovecot(t, "one", map[string]string{"ann": "an apple"})
	for _, client := range mailClients() {
		t.Run(client.name, func(t *testing.T) {
			exercise(t, client, one.endpoint, []mode{startTLS}, []account{{"ann", "an apple", one}})
		})
	}
	noSessions(t, one)
}

// TestClients runs every client in every mode through the proxy, for users of
// two backends, and checks after each client that nothing is left.
func TestClients(t *testing.T) {
	t.Parallel() // most of it is waiting
	r := newRig(t)
	p, before := r.serve(t)
	for _, client := range mailClients() {
		t.Run(client.name, func(t *testing.T) {
			exercise(t, client, r.endpoint, []mode{plain, startTLS, tlsFirst}, []account{r.Ann, r.Bob})
			r.nothingLeft(t, p, before)
		})
	}
	r.noSecret(t, p)
	p.stop(t, syscall.SIGTERM, 5*time.Second)
}

// exercise runs a client over the modes, and checks that the message got to
// the account's Dovecot and back as it was.
func exercise(t *testing.T, client mailClient, at func(mode) endpoint, modes []mode, accounts []account) {
	need(t, client.programs...)
	for _, m := range modes {
		for _, a := range accounts {
			t.Run(fmt.Sprintf("%s/%s", m, a.User), func(t *testing.T) {
				subject := fmt.Sprintf("big-%s-%s-%s", client.name, m, a.User)
				message := bigMessage(subject)
				fetched := client.run(t, at(m), a, message, subject)
				checkMessage(t, a, subject, message, fetched)
				tidy(t, a)
			})
		}
	}
}

// checkMessage compares what was sent, what the Dovecot itself gives, and
// what came through.
func checkMessage(t *testing.T, a account, subject string, sent, fetched []byte) {
	t.Helper()
	var stored []byte
	direct(t, a, func(c *imapclient.Client) { stored = fetch(t, c, subject) })
	if header, _, _ := bytes.Cut(stored, []byte("\r\n\r\n")); bytes.Contains(header, []byte("\r\nX-TUID: ")) {
		stored, fetched = withoutTUID(stored), withoutTUID(fetched)
	}
	if sum(stored) != sum(sent) {
		t.Errorf("the Dovecot stored %s, sent was %s", sum(stored), sum(sent))
	}
	if sum(fetched) != sum(stored) {
		t.Errorf("fetched %s, directly it is %s", sum(fetched), sum(stored))
	}
}

// noSessions waits until no user is logged in.
func noSessions(t *testing.T, servers ...*dovecot) {
	t.Helper()
	for _, d := range servers {
		eventually(t, "sessions at Dovecot "+d.Name, func() (bool, string) {
			who := d.Who(t)
			return len(who) == 0, fmt.Sprintf("%q", who)
		})
	}
}

// saslPlain is the account's initial response to AUTHENTICATE PLAIN.
func saslPlain(a account) []byte {
	return []byte(base64.StdEncoding.EncodeToString([]byte("\x00" + a.User + "\x00" + a.Password)))
}
