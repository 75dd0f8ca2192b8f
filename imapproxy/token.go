package imapproxy

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/emersion/go-sasl"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/lines"
)

// unexplained is the error challenge of a token where none was given
// (RFC 7628 section 3.2.2).
const unexplained = `{"status":"invalid_token","schemes":"bearer"}`

// explainToken sends a client whose token was refused the error challenge and
// waits for the dummy answer, so that the refusal may follow. A client that
// cancels instead gets the refusal as well.
func (s *session) explainToken(a *loginAttempt) error {
	challenge, found := s.errorChallenge(a.request)
	if !found {
		return nil
	}
	if challenge == "" {
		challenge = unexplained
	}
	_, err := s.dummyAnswer(challenge)
	return err
}

// errorChallenge finds what is said of a token that was refused; "" when the
// refusal came without a word. It is not found for passwords, and where the token
// was not judged.
func (s *session) errorChallenge(r *auth.Request) (challenge string, found bool) {
	var denied *auth.Denied
	var refused *backend.Refused
	switch {
	case !auth.IsToken(r.Mechanism):
		return "", false
	case errors.As(s.login.failed.err, &denied):
		return denied.Challenge, true
	case errors.As(s.login.failed.err, &refused):
		return refused.Challenge, true
	}
	return "", false
}

// dummyAnswer sends an error challenge and reads the line that answers it.
func (s *session) dummyAnswer(challenge string) (line string, err error) {
	if err := s.say("+ " + base64.StdEncoding.EncodeToString([]byte(challenge)) + "\r\n"); err != nil {
		return "", err
	}
	answer, err := s.client.in.Line(maxSASLLine)
	if errors.Is(err, lines.ErrTooLong) {
		return "", s.fail(endClientProtocol, err)
	}
	if err != nil {
		return "", s.readFailed(err)
	}
	return string(answer), nil
}

// newCramMD5 begins CRAM-MD5 over a salt of its own.
func (s *session) newCramMD5(got **auth.Request) sasl.Server {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	salt := fmt.Sprintf("<%x.%d@%s>", b, s.server.clock.Now().Unix(), s.settings.Hostname)
	return auth.NewCramMD5(salt, func(_, user string, digest auth.Secret) error {
		r := s.request(auth.CramMD5, "", user, digest)
		r.Salt = salt
		*got = r
		return nil
	})
}
