package imapproxy

import (
	"strings"

	"github.com/emersion/go-sasl"

	"imapproxy/auth"
)

// compatHandle answers a command that has been read. What is wrong with it now
// does not count as a bad command, as with nginx.
func (s *session) compatHandle(cmd *command, args []string) (reply, error) {
	invalid := reply{text: cmd.tag + compatInvalid, why: "invalid command"}
	switch cmd.name {
	case "CAPABILITY":
		return reply{text: "* CAPABILITY " + s.compatCapabilities() + "\r\n" + cmd.tag + compatDone}, nil
	case "NOOP":
		return reply{text: cmd.tag + compatDone}, nil
	case "LOGOUT":
		return reply{text: "* BYE\r\n" + cmd.tag + compatDone, end: endLogout}, nil
	case "ID":
		return s.handleID(cmd)
	case "STARTTLS":
		if s.client.tls != nil || s.listener.TLS != StartTLS {
			return invalid, nil
		}
		r, err := s.handleSTARTTLS(&command{tag: cmd.tag, pieces: [][]byte{nil}})
		if r.text != "" {
			r.text = cmd.tag + compatDone
		}
		return r, err
	}
	if !s.mayAuthenticate() {
		return invalid, nil
	}
	if cmd.name == "AUTHENTICATE" {
		return s.compatAuthenticate(cmd, args)
	}
	if len(args) != 2 || args[0] == "" {
		return invalid, nil
	}
	return reply{login: &loginAttempt{cmd.tag, s.request("LOGIN", "", args[0], auth.Secret(args[1]))}}, nil
}

// compatAuthenticate runs a SASL exchange. Everything but a login that is
// refused reads BAD invalid command.
func (s *session) compatAuthenticate(cmd *command, args []string) (reply, error) {
	invalid := reply{text: cmd.tag + compatInvalid, why: "invalid AUTHENTICATE"}
	if len(args) == 0 || len(args) > 2 {
		return invalid, nil
	}
	name := strings.ToUpper(args[0])
	var got *auth.Request
	mech := s.compatMechanism(name, &got)
	if mech == nil {
		return invalid, nil
	}
	var response []byte
	if len(args) == 2 {
		var valid bool
		if response, valid = decodeInitial(args[1]); !valid {
			s.compatNotBase64(name)
			return invalid, nil
		}
	}
	r, err := s.exchange(cmd, mech, response)
	switch {
	case err != nil:
		return r, err
	case r.denied != nil:
		s.login.refusals = 0
		return reply{text: cmd.tag + " NO " + compatRefused, end: endLoginFailed}, nil
	case r.text != "" || got == nil:
		if r.why == notBase64 {
			s.compatNotBase64(name)
		}
		invalid.end = r.end
		return invalid, nil
	}
	return reply{login: &loginAttempt{cmd.tag, got}}, nil
}

// compatMechanism begins an exchange; nil for what is not to be had. PLAIN and
// LOGIN are, offered or not.
func (s *session) compatMechanism(name string, got **auth.Request) sasl.Server {
	if name != "PLAIN" && name != "LOGIN" && !s.compatOffers(name) {
		return nil
	}
	verify := func(authzID, user string, secret auth.Secret) error {
		*got = s.request(name, authzID, user, secret)
		return nil
	}
	switch name {
	case auth.CramMD5:
		return s.newCramMD5(got)
	case auth.External:
		return auth.NewClaimed(func(user string) error { return verify("", user, "") })
	}
	mech, _ := auth.NewMechanism(name, verify)
	return mech
}
