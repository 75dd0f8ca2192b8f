package imapproxy

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"imapproxy/auth"
	"imapproxy/backend/fault"
	"imapproxy/backend/lines"
)

// maxSASLSteps bounds an exchange; no mechanism here needs more than two.
const maxSASLSteps = 8

// handleAuthenticate runs a SASL exchange (RFC 9051 section 6.2.2), with the
// initial response of RFC 4959 where the client sends one.
func (s *session) handleAuthenticate(cmd *command) (reply, error) {
	if !s.mayAuthenticate() {
		return s.needTLS(cmd), nil
	}
	a := cmd.args()
	a.space()
	name, valid := a.atom()
	if !valid {
		return bad(cmd, "AUTHENTICATE takes a mechanism"), nil
	}
	var response []byte
	if a.space() && !a.end() {
		ir, ok := a.atom()
		if response, valid = decodeInitial(ir); !ok || !valid {
			return bad(cmd, "The initial response is not base64"), nil
		}
	}
	if !a.end() {
		return bad(cmd, "Too many arguments"), nil
	}
	name = strings.ToUpper(name)
	var got *auth.Request
	mech := s.mechanismOf(name, &got)
	if mech == nil {
		return reply{text: cmd.tag + " NO [CANNOT] No such mechanism; those of CAPABILITY are"}, nil
	}
	r, err := s.exchange(cmd, mech, response)
	if err == nil && r.text == "" && got != nil {
		r.login = &loginAttempt{cmd.tag, got}
	}
	return r, err
}

// mechanismOf begins the exchange of a mechanism that is offered here; nil for
// others. What it comes to is in got.
func (s *session) mechanismOf(name string, got **auth.Request) sasl.Server {
	verify := func(authzID, user string, secret auth.Secret) error {
		*got = s.request(name, authzID, user, secret)
		return nil
	}
	offered := s.listener.Mechanisms
	switch {
	case name == auth.External && s.settings.External != nil && (offered == nil || slices.Contains(offered, name)):
		return auth.NewExternal(s.externalVerifier(got))
	case offered == nil && !slices.Contains(auth.Mechanisms(), name), offered != nil && !slices.Contains(offered, name):
		return nil
	case name == auth.CramMD5:
		return s.newCramMD5(got)
	}
	mech, _ := auth.NewMechanism(name, verify)
	return mech
}

const notBase64 = "The response is not base64"

// exchange runs the mechanism's steps. An empty reply means that it has come
// to its end.
func (s *session) exchange(cmd *command, mech sasl.Server, response []byte) (reply, error) {
	for range maxSASLSteps {
		fault.Point("sasl.step")
		challenge, done, err := mech.Next(response)
		var denied *auth.Denied
		if errors.As(err, &denied) {
			return reply{text: cmd.tag + " " + s.refuse(denied), denied: denied}, nil
		}
		if err != nil {
			return bad(cmd, "The response does not fit the mechanism"), nil
		}
		if done {
			return reply{}, nil
		}
		var r reply
		if response, r, err = s.challenge(cmd, challenge); err != nil || r.text != "" {
			return r, err
		}
	}
	return bad(cmd, "The exchange is too long"), nil
}

// challenge sends a challenge and reads the response to it.
func (s *session) challenge(cmd *command, challenge []byte) ([]byte, reply, error) {
	if err := s.say("+ " + base64.StdEncoding.EncodeToString(challenge) + "\r\n"); err != nil {
		return nil, reply{}, err
	}
	line, err := s.client.in.Line(maxSASLLine)
	if errors.Is(err, lines.ErrTooLong) {
		over, err := s.skipLine()
		r := bad(cmd, responseTooLong)
		if !over {
			r.end = endClientProtocol
		}
		return nil, r, err
	}
	if err != nil {
		return nil, reply{}, s.readFailed(err)
	}
	if string(line) == "*" {
		return nil, reply{text: cmd.tag + " BAD The exchange was cancelled"}, nil
	}
	response, valid := decodeResponse(string(line))
	if !valid {
		return nil, bad(cmd, notBase64), nil
	}
	return response, reply{}, nil
}

// decodeInitial decodes an initial response, in which "=" stands for an empty
// one (RFC 4959 section 3).
func decodeInitial(s string) ([]byte, bool) {
	if s == "=" {
		return []byte{}, true
	}
	return decodeResponse(s)
}

// decodeResponse takes base64 and nothing else: a lax decoder would skip
// line breaks and let two parties read two things.
func decodeResponse(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, false
	}
	if b == nil {
		b = []byte{}
	}
	return b, true
}
