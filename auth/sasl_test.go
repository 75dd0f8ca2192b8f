package auth

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
)

type saslStep struct {
	send      []byte // nil: no initial response
	challenge string
	done      bool
	err       error // matched with errors.Is
}

var errVerify = errors.New("verdict")

func TestSASL(t *testing.T) {
	plain := []byte("\x00bob\x00pw")
	for _, c := range []struct {
		name, mechanism string
		steps           []saslStep
		verified        []string // authzid, user, secret
	}{
		{"PLAIN with initial response", "PLAIN", []saslStep{{plain, "", true, errVerify}}, []string{"", "bob", "pw"}},
		{"PLAIN without", "plain", []saslStep{{nil, "", false, nil}, {plain, "", true, errVerify}}, []string{"", "bob", "pw"}},
		{"PLAIN with authzid", "PLAIN", []saslStep{{[]byte("eve\x00bob\x00pw"), "", true, errVerify}}, []string{"eve", "bob", "pw"}},
		{"PLAIN with one NUL", "PLAIN", []saslStep{{[]byte("bob\x00pw"), "", true, ErrMalformed}}, nil},
		{"PLAIN with three NULs", "PLAIN", []saslStep{{[]byte("\x00bob\x00pw\x00"), "", true, ErrMalformed}}, nil},
		{"PLAIN all NULs", "PLAIN", []saslStep{{make([]byte, 12<<10), "", true, ErrMalformed}}, nil},
		{"PLAIN empty initial response", "PLAIN", []saslStep{{[]byte{}, "", true, ErrMalformed}}, nil},
		{"PLAIN nothing twice", "PLAIN", []saslStep{{nil, "", false, nil}, {nil, "", true, ErrMalformed}}, nil},
		{"PLAIN good after malformed", "PLAIN", []saslStep{{[]byte{}, "", true, ErrMalformed}, {plain, "", true, sasl.ErrUnexpectedClientResponse}}, nil},
		{"PLAIN twice", "PLAIN", []saslStep{{plain, "", true, errVerify}, {plain, "", true, sasl.ErrUnexpectedClientResponse}}, []string{"", "bob", "pw"}},
		{"LOGIN", "LOGIN", []saslStep{{nil, "Username:", false, nil}, {[]byte("bob"), "Password:", false, nil}, {[]byte("pw"), "", true, errVerify}}, []string{"", "bob", "pw"}},
		{"LOGIN with initial response", "Login", []saslStep{{[]byte("bob"), "Password:", false, nil}, {[]byte("pw"), "", true, errVerify}}, []string{"", "bob", "pw"}},
		{"LOGIN twice", "LOGIN", []saslStep{{[]byte("bob"), "Password:", false, nil}, {[]byte("pw"), "", true, errVerify}, {[]byte("pw"), "", true, sasl.ErrUnexpectedClientResponse}}, []string{"", "bob", "pw"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var verified []string
			server, ok := NewMechanism(c.mechanism, func(authzID, user string, secret Secret) error {
				verified = append(verified, authzID, user, string(secret))
				return errVerify
			})
			if !ok {
				t.Fatal("no such mechanism")
			}
			for i, step := range c.steps {
				challenge, done, err := server.Next(step.send)
				if string(challenge) != step.challenge || done != step.done || !errors.Is(err, step.err) {
					t.Fatalf("step %d: got %q, %v, %v; want %q, %v, %v", i, challenge, done, err, step.challenge, step.done, step.err)
				}
			}
			if !slices.Equal(verified, c.verified) {
				t.Errorf("verified %q, want %q", verified, c.verified)
			}
		})
	}
}

// Empties and control bytes are denied by the mechanism itself.
func TestSASLRefusesBeforeVerify(t *testing.T) {
	for _, c := range []struct {
		mechanism string
		sends     []string
	}{
		{"PLAIN", []string{"\x00\x00pw"}},
		{"PLAIN", []string{"eve\x00\x00pw"}},
		{"PLAIN", []string{"\x00bob\x00"}},
		{"PLAIN", []string{"\x00bob\x00p\rw"}},
		{"PLAIN", []string{"e\x7fve\x00bob\x00pw"}},
		{"LOGIN", []string{"", "pw"}},
		{"LOGIN", []string{"bob", ""}},
		{"LOGIN", []string{"bob\x00eve", "pw"}},
	} {
		server, _ := NewMechanism(c.mechanism, func(string, string, Secret) error {
			t.Errorf("%s %q reached verify", c.mechanism, c.sends)
			return nil
		})
		var err error
		for _, s := range c.sends {
			_, _, err = server.Next([]byte(s))
		}
		var denied *Denied
		if !errors.As(err, &denied) {
			t.Errorf("%s %q: got %v, want a *Denied", c.mechanism, c.sends, err)
		}
	}
}

func TestMechanisms(t *testing.T) {
	if got := strings.Join(Mechanisms(), " "); got != "PLAIN LOGIN" {
		t.Errorf("advertised %s", got)
	}
	for _, name := range Mechanisms() {
		if _, ok := NewMechanism(name, nil); !ok {
			t.Errorf("%s is advertised and missing", name)
		}
	}
	for _, name := range []string{"", "CRAM-MD5", "PLAIN ", "ANONYMOUS"} {
		if _, ok := NewMechanism(name, nil); ok {
			t.Errorf("%q is there and not advertised", name)
		}
	}
}

// FuzzSASL sends responses (separated by 0xFE; the first is an initial response
// or, when it begins with 0xFD, missing) and compares with what each mechanism
// should have understood.
func FuzzSASL(f *testing.F) {
	f.Add("PLAIN", []byte("\x00bob\x00pw"))
	f.Add("LOGIN", []byte("\xfd\xfebob\xfepw"))
	f.Fuzz(func(t *testing.T, mechanism string, data []byte) {
		calls := 0
		var authzID, user string
		var secret Secret
		server, ok := NewMechanism(mechanism, func(a, u string, s Secret) error {
			calls++
			authzID, user, secret = a, u, s
			return nil
		})
		if !ok {
			return
		}
		responses := bytes.Split(data, []byte{0xFE})
		if bytes.HasPrefix(responses[0], []byte{0xFD}) {
			responses[0] = nil
		}
		finished := false
		for i, response := range responses {
			challenge, done, err := server.Next(response)
			switch {
			case finished && (!done || err == nil):
				t.Fatalf("step %d: a finished exchange went on", i)
			case !done && err != nil:
				t.Fatalf("step %d: failed and not done: %v", i, err)
			case !done && challenge == nil:
				t.Fatalf("step %d: goes on without a challenge", i)
			case !done && i > 2:
				t.Fatalf("step %d: no end", i)
			}
			finished = finished || done
		}
		want := understood(strings.ToUpper(mechanism), responses)
		if calls != len(want)/3 {
			t.Fatalf("verify called %d times for %q", calls, responses)
		}
		if calls == 1 && !slices.Equal([]string{authzID, user, string(secret)}, want) {
			t.Fatalf("verified %q %q %q, want %q", authzID, user, string(secret), want)
		}
	})
}

// understood is the slow reference: authzid, user and secret, or nil when there
// is nothing to verify.
func understood(mechanism string, responses [][]byte) []string {
	if responses[0] == nil {
		responses = responses[1:]
	}
	var got []string
	switch {
	case mechanism == "PLAIN" && len(responses) > 0:
		got = strings.Split(string(responses[0]), "\x00")
	case mechanism == "LOGIN" && len(responses) > 1:
		got = []string{"", string(responses[0]), string(responses[1])}
	}
	if len(got) != 3 || got[1] == "" || got[2] == "" || len(got[0]) > 512 || len(got[1]) > 512 || len(got[2]) > 4096 {
		return nil
	}
	for _, s := range got {
		for _, b := range []byte(s) {
			if b < 0x20 || b == 0x7F {
				return nil
			}
		}
	}
	return got
}
