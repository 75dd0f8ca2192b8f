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
		{"PLAIN without", "plain", []saslStep{{nil, "", false, nil}, {plain, "", true, errVerify}},
			[]string{"", "bob", "pw"}},
		{"PLAIN with authzid", "PLAIN", []saslStep{{[]byte("eve\x00bob\x00pw"), "", true, errVerify}},
			[]string{"eve", "bob", "pw"}},
		{"PLAIN with one NUL", "PLAIN", []saslStep{{[]byte("bob\x00pw"), "", true, ErrMalformed}}, nil},
		{"PLAIN with three NULs", "PLAIN", []saslStep{{[]byte("\x00bob\x00pw\x00"), "", true, ErrMalformed}}, nil},
		{"PLAIN all NULs", "PLAIN", []saslStep{{make([]byte, 12<<10), "", true, ErrMalformed}}, nil},
		{"PLAIN empty initial response", "PLAIN", []saslStep{{[]byte{}, "", true, ErrMalformed}}, nil},
		{"PLAIN nothing twice", "PLAIN", []saslStep{{nil, "", false, nil}, {nil, "", true, ErrMalformed}}, nil},
		{"PLAIN good after malformed", "PLAIN", []saslStep{{[]byte{}, "", true, ErrMalformed},
			{plain, "", true, sasl.ErrUnexpectedClientResponse}}, nil},
		{"PLAIN twice", "PLAIN", []saslStep{{plain, "", true, errVerify},
			{plain, "", true, sasl.ErrUnexpectedClientResponse}}, []string{"", "bob", "pw"}},
		{"LOGIN", "LOGIN", []saslStep{{nil, "Username:", false, nil}, {[]byte("bob"), "Password:", false, nil},
			{[]byte("pw"), "", true, errVerify}}, []string{"", "bob", "pw"}},
		{"LOGIN with initial response", "Login", []saslStep{{[]byte("bob"), "Password:", false, nil},
			{[]byte("pw"), "", true, errVerify}}, []string{"", "bob", "pw"}},
		{"LOGIN twice", "LOGIN", []saslStep{{[]byte("bob"), "Password:", false, nil}, {[]byte("pw"), "", true,
			errVerify}, {[]byte("pw"), "", true, sasl.ErrUnexpectedClientResponse}}, []string{"", "bob", "pw"}},
		{"XOAUTH2", "XOAUTH2", []saslStep{{nil, "", false, nil}, {[]byte("user=bob\x01auth=Bearer tok en\x01\x01"), "",
			true, errVerify}}, []string{"", "bob", "tok en"}},
		{"XOAUTH2 with initial response", "xoauth2", []saslStep{{[]byte("USER=bob\x01AUTH=bearer  tok\x01\x01"), "",
			true, errVerify}}, []string{"", "bob", "tok"}},
		{"XOAUTH2 without an end", "XOAUTH2", []saslStep{{[]byte("user=bob\x01auth=Bearer tok\x01"), "", true,
			ErrMalformed}}, nil},
		{"XOAUTH2 with two users", "XOAUTH2", []saslStep{{[]byte("user=bob\x01user=eve\x01auth=Bearer tok\x01\x01"), "",
			true, ErrMalformed}}, nil},
		{"XOAUTH2 twice", "XOAUTH2", []saslStep{{[]byte{}, "", true, ErrMalformed},
			{[]byte("user=bob\x01auth=Bearer tok\x01\x01"), "", true, sasl.ErrUnexpectedClientResponse}}, nil},
		{"OAUTHBEARER", "OAUTHBEARER", []saslStep{{[]byte("n,a=b=2Co=3Db,\x01host=h\x01port=143\x01auth=Bearer " +
			"tok\x01\x01"), "", true, errVerify}}, []string{"", "b,o=b", "tok"}},
		{"OAUTHBEARER y", "OAUTHBEARER", []saslStep{{[]byte("y,a=bob,\x01auth=Bearer tok\x01\x01"), "", true,
			errVerify}}, []string{"", "bob", "tok"}},
		{"OAUTHBEARER with binding", "OAUTHBEARER", []saslStep{{[]byte("p=x,a=bob,\x01auth=Bearer tok\x01\x01"), "",
			true, ErrMalformed}}, nil},
		{"OAUTHBEARER with a bad escape", "OAUTHBEARER", []saslStep{{[]byte("n,a=b=2,\x01auth=Bearer tok\x01\x01"), "",
			true, ErrMalformed}}, nil},
		{"OAUTHBEARER with no pair", "OAUTHBEARER", []saslStep{{[]byte("n,a=bob,\x01\x01"), "", true, ErrMalformed}},
			nil},
		{"OAUTHBEARER with many", "OAUTHBEARER", []saslStep{{[]byte("n,a=bob," + strings.Repeat("\x01", 99)), "", true,
			ErrMalformed}}, nil},
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
					t.Fatalf("step %d: got %q, %v, %v; want %q, %v, %v", i, challenge, done, err, step.challenge,
						step.done, step.err)
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
		{"XOAUTH2", []string{"user=\x01auth=Bearer tok\x01\x01"}},
		{"XOAUTH2", []string{"user=bob\x01auth=Basic tok\x01\x01"}},
		{"OAUTHBEARER", []string{"n,,\x01auth=Bearer tok\x01\x01"}},
		{"OAUTHBEARER", []string{"n,a=bob,\x01auth=Bearer t\rok\x01\x01"}},
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
	f.Add("XOAUTH2", []byte("user=bob\x01auth=Bearer tok\x01\x01"))
	f.Add("OAUTHBEARER", []byte("\xfd\xfen,a=b=2Cb,\x01auth=Bearer tok\x01\x01"))
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
		if IsToken(strings.ToUpper(mechanism)) {
			if calls > 1 || calls == 1 && (user == "" || secret == "" || !bytes.Contains(data, []byte(secret))) {
				t.Fatalf("verified %q %q %d times for %q", user, string(secret), calls, data)
			}
			return
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

func TestCramMD5(t *testing.T) {
	const digest = "00112233445566778899aabbccddeeff"
	for _, c := range []struct {
		name      string
		responses []string // after the salt
		user      string   // "" is malformed
	}{
		{"good", []string{"bob " + digest}, "bob"},
		{"a user with spaces", []string{"bob builder " + digest}, "bob builder"},
		{"no space", []string{digest}, ""},
		{"short", []string{"bob " + digest[2:]}, ""},
		{"no digits", []string{"bob " + strings.Repeat("xy", 16)}, ""},
	} {
		var user, secret string
		m := NewCramMD5("<1.2@h>", func(_, u string, s Secret) error { user, secret = u, string(s); return nil })
		if salt, done, err := m.Next(nil); string(salt) != "<1.2@h>" || done || err != nil {
			t.Errorf("%s: salt %q, %v, %v", c.name, salt, done, err)
		}
		_, done, err := m.Next([]byte(c.responses[0]))
		if !done || user != c.user || (err == nil) != (c.user != "") || (err == nil && secret != digest) {
			t.Errorf("%s: %q %q, %v, %v", c.name, user, secret, done, err)
		}
		if _, done, err := m.Next([]byte("eve " + digest)); !done || err == nil || user == "eve" {
			t.Errorf("%s: went on", c.name)
		}
	}
	m := NewCramMD5("<1.2@h>", func(string, string, Secret) error { t.Error("no salt was sent"); return nil })
	if _, done, err := m.Next([]byte("bob " + digest)); !done || err == nil {
		t.Error("took an initial response")
	}
}
