package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"imapproxy/backend/login"
)

func TestKinds(t *testing.T) {
	network := func(err error) error {
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)}
	}
	for _, c := range []struct {
		phase string
		err   error
		want  Kind
	}{
		{"connect", errLimit, KindTimeout},
		{"connect", network(syscall.ETIMEDOUT), KindTimeout},
		{"connect", context.DeadlineExceeded, KindTimeout},
		{"login", network(os.ErrDeadlineExceeded), KindTimeout},
		{"tls", network(syscall.ETIMEDOUT), KindTimeout},
		{"connect", network(syscall.ECONNREFUSED), kindConnect},
		{"connect", network(syscall.EHOSTUNREACH), kindConnect},
		{"connect", &net.DNSError{Err: "no such host", IsNotFound: true}, kindDNS},
		{"connect", &net.DNSError{Err: "timeout", IsTimeout: true}, kindDNS},
		{"connect", fmt.Errorf("%w: %w", errNoAddress, io.EOF), kindDNS},
		{"connect", fmt.Errorf("%w: later", errBackedOff), kindBackedOff},
		{"connect", network(syscall.EMFILE), KindLocal},
		{"connect", network(syscall.EADDRNOTAVAIL), KindLocal},
		{"tls", io.EOF, KindClosed},
		{"tls", network(syscall.ECONNRESET), KindClosed},
		{"tls", network(syscall.EPIPE), KindClosed},
		{"tls", errors.New("tls: something"), KindTLS},
		{"tls", errInjected, KindProtocol},
		{"greeting", io.ErrUnexpectedEOF, KindClosed},
		{"greeting", errPreauth, KindProtocol},
		{"login", &refusing{login.Answer{Word: "BYE"}}, KindRefusing},
		{"starttls", fmt.Errorf("%w: no", errConfig), KindConfig},
	} {
		if got := kindOf(c.phase, c.err); got != c.want {
			t.Errorf("%s, %v: got %s, want %s", c.phase, c.err, got, c.want)
		}
	}
}

// What an error says, whatever a backend put into it.
func TestErrorTexts(t *testing.T) {
	hostile := "a\r\n" + strings.Repeat("\x1b", 3000)
	c := Conn{Target: &Target{}}
	for _, test := range []struct {
		err  error
		want string
	}{
		{&Error{Kind: KindClosed, Addr: "h:1", Phase: "login", Err: io.EOF}, "backend h:1: login: closed: EOF"},
		{&Error{Kind: KindTLS, Addr: "h:1", Phase: "tls", Err: errors.New(hostile)},
			"backend h:1: tls: a??" + strings.Repeat("?", 1021)},
		{&Error{Kind: KindPool, Target: "one", Addr: "one", Phase: "wait", Err: io.EOF}, "target one: wait: pool: EOF"},
		{&Refused{Target: "one", Addr: "h:1", Answer: c.answered(answer{word: "NO", text: "no"})},
			"target one at h:1 refused the login: no"},
		{&Refused{Addr: "h:1", Answer: c.answered(answer{word: "NO", code: "EXPIRED", text: "old"})},
			"backend h:1 refused the login: [EXPIRED] old"},
		{&Refused{Addr: "h:1", Answer: c.answered(answer{word: "NO", text: "no"})},
			"backend h:1 refused the login: no"},
		{&refusing{c.answered(answer{word: "BYE", text: "x\ny"})}, "BYE x?y"},
		{&refusing{c.answered(answer{word: "NO", code: "IN\x00USE", text: "x"})}, "NO [IN?USE] x"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q\nwant %q", got, test.want)
		}
	}
}

// Credentials print without the secret, by every verb.
func TestCredentialsHideTheSecret(t *testing.T) {
	c := Credentials{User: "u", AuthID: "a", Secret: canary}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, v := range []any{c, &c, struct{ C Credentials }{c}, Target{Master: c}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, canary) ||
				strings.Contains(got, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
	}
}
