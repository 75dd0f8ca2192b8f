package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reloadRig is a crowd whose users are in a file, and a proxy that runs.
type reloadRig struct {
	*crowd
	p *process
}

// users are the names in the user file, which all have the same password.
func (r *reloadRig) users(t *testing.T, names ...string) {
	t.Helper()
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%s:{PLAIN}%s:plaintext\n", name, crowdPassword)
	}
	r.file(t, "users", text.String())
}

// file writes a file next to the configuration.
func (r *reloadRig) file(t *testing.T, name, text string) {
	t.Helper()
	write(t, filepath.Join(r.folder(), name), 0o600, text)
}

// reload sends SIGHUP and waits until the log says what has come of it.
func (r *reloadRig) reload(t *testing.T, result string) (said string) {
	t.Helper()
	from := r.p.written(t)
	try(t, "signal", r.p.cmd.Process.Signal(syscall.SIGHUP))
	eventually(t, "reload", func() (bool, string) {
		said = r.p.text(t)[from:]
		return strings.Contains(said, result), fmt.Sprintf("no %q in %s", result, said)
	})
	return said
}

// newClients checks what clients find that come now: who is let in, who is
// not, and where the mail of c3 is.
func (r *reloadRig) newClients(t *testing.T, granted, denied int, at *dovecot) {
	t.Helper()
	if _, err := r.arrive(plain, denied); err == nil || !strings.Contains(err.Error(), "l NO [AUTHENTICATIONFAILED]") {
		t.Errorf("the login of %s ends with %v, want a refusal", r.account(plain, denied).User, err)
	}
	g, err := r.arrive(plain, granted)
	try(t, "login", err)
	try(t, "logout", g.leave())
	moved, err := r.arrive(plain, 3)
	try(t, "login", err)
	try(t, "LIST", moved.say("m LIST \"\" "+at.canary(), "* LIST"))
	try(t, "LIST", moved.until("m OK"))
	try(t, "logout", moved.leave())
}

// newCertificate checks that clients who trust only the old authority are no
// longer content, and others are.
func (r *reloadRig) newCertificate(t *testing.T, old *tls.Config) {
	t.Helper()
	trust := r.trust
	r.trust = old
	_, err := r.knock(tlsFirst, 0)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("a client that does not know the new authority gets %v", err)
	}
	r.trust = trust
	for _, m := range []mode{startTLS, tlsFirst} {
		g, err := r.arrive(m, 0)
		try(t, "new certificate", err)
		try(t, "logout", g.leave())
	}
}

// TestReloadAmong50 reloads bad configurations, each bad at another place, and
// then a good one, under 50 sessions.
func TestReloadAmong50(t *testing.T) {
	r := &reloadRig{crowd: newCrowd(t, 5, beyondBuffers, "")}
	r.configure(t, func(config string) string {
		return strings.Replace(config, `type = "passthrough"`, "type = \"file\"\nfile = \"users\"", 1)
	})
	r.users(t, "c0", "a0", "b0", "c2", "c3")
	p, before := r.serve(t)
	r.p = p
	guests := r.arrivals(t, 50, func(i int) (mode, int, state) { return modes()[i%3], 0, reloadedState(i) })
	r.settled(t)
	r.newClients(t, 2, 1, r.One)

	// The user file and the map of the second generation wait for a good
	// configuration.
	r.users(t, "a0", "b0", "c1", "c3")
	r.writeMap(t, "/^a/ one\n/^b/ two\nc3 two\n* clear\n")
	for _, file := range []string{"imapproxy.toml", "users", "map", "cert.pem"} {
		t.Run("bad "+file, func(t *testing.T) {
			good := mustRead(t, filepath.Join(r.folder(), file))
			r.file(t, file, good+"\nfault at the end {\n")
			if file == "cert.pem" {
				r.file(t, file, "no certificate\n")
			}
			if said := r.reload(t, "not reloaded"); !strings.Contains(said, file) {
				t.Errorf("the log does not name %s:\n%s", file, said)
			}
			r.file(t, file, good)
			r.newClients(t, 2, 1, r.One)
		})
	}

	old := r.trust
	issueCertificate(t, r.folder())
	r.trust = trusting(t, r.CAFile)
	said := r.reload(t, "reloaded; running sessions keep the settings they began with")
	if strings.Contains(said, `"level":"error"`) {
		t.Errorf("a good reload says:\n%s", said)
	}
	r.newClients(t, 1, 2, r.Two)
	r.newCertificate(t, old)
	no(t, "sessions that run", together(len(guests), func(i int) error { return guests[i].lives() }))
	no(t, "logout", together(len(guests), func(i int) error { return guests[i].leave() }))
	p.ended(t, 0, guests, always("logout"))
	r.nothingLeft(t, p, before)
	p.stop(t, syscall.SIGTERM, 5*time.Second)
}

// reloadedState is the state of the i-th of 50 sessions.
func reloadedState(i int) state {
	switch {
	case i == 49:
		return midFetch
	case i == 48:
		return midAppend
	case i >= 30:
		return inIDLE
	}
	return relayIdle
}
