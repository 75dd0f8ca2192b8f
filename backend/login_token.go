package backend

import (
	"encoding/base64"
	"errors"
	"strings"

	"imapproxy/backend/fault"
)

// The mechanisms for bearer tokens: RFC 7628, and Google's older one.
const (
	oauthBearer = "OAUTHBEARER"
	xoauth2     = "XOAUTH2"
)

// tokenMechanism is how a token is handed on: by the client's mechanism, or the
// other one if the backend offers only that. "" is as a password, which some
// backends take tokens for and others refuse.
func (c Credentials) tokenMechanism(offered *capabilities) string {
	if c.Token == "" {
		return ""
	}
	for _, m := range []string{c.Token, oauthBearer, xoauth2} {
		if offered.has("AUTH=" + m) {
			return m
		}
	}
	return ""
}

// message is what the mechanism says.
func (c Credentials) message(mechanism string) string {
	text := "user=" + c.User
	if mechanism == oauthBearer {
		text = "n,a=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.User) + "," // RFC 5801 section 4
	}
	return base64.StdEncoding.EncodeToString([]byte(text + "\x01auth=Bearer " + c.Secret + "\x01\x01"))
}

// dummyAnswer is what has to be said to an error challenge before the refusal
// comes (RFC 7628 section 3.2.3).
func dummyAnswer(mechanism string) string {
	if mechanism == oauthBearer {
		return "AQ=="
	}
	return ""
}

// authenticateToken hands a token on. What the backend says of one that it does
// not take is kept for the client.
func (c *Conn) authenticateToken(id, mechanism string, cred Credentials, inCommand bool) (answer, error) {
	message := cred.message(mechanism)
	c.hidden.encode(message)
	inCommand = inCommand && len(message) <= maxCommandLine
	r, err := c.offerToken(id, mechanism, message, inCommand)
	var not *notAccepted
	if inCommand && errors.As(err, &not) {
		r, err = c.offerToken("", mechanism, message, false)
	}
	if err != nil || r.tag == "X2" {
		return r, err
	}
	challenge, err := base64.StdEncoding.DecodeString(r.text)
	if err != nil || strings.Contains(string(challenge), cred.Secret) {
		challenge = nil
	}
	if err := c.send(dummyAnswer(mechanism) + "\r\n"); err != nil {
		return answer{}, err
	}
	r, err = c.judged(false)
	var refused *Refused
	if errors.As(err, &refused) {
		refused.Challenge = string(challenge)
	}
	return r, err
}

// offerToken sends the message and reads to the error challenge, or to the
// verdict.
func (c *Conn) offerToken(id, mechanism, message string, inCommand bool) (answer, error) {
	command := id + "X2 AUTHENTICATE " + mechanism
	if inCommand {
		command += " " + message
	}
	if err := c.send(command + "\r\n"); err != nil {
		return answer{}, err
	}
	if !inCommand {
		r, err := c.await("+", id != "")
		if err == nil && r.tag == "X2" {
			err = c.instead(tokenAsked, r)
		}
		if err != nil {
			return r, err
		}
		if err := c.send(message + "\r\n"); err != nil {
			return answer{}, err
		}
	}
	fault.Point("login.await")
	r, err := c.await("+", id != "" && inCommand)
	switch {
	case err != nil || r.tag != "X2":
		return r, err
	case inCommand && r.word == "BAD": // the initial response is not understood
		return r, c.instead(tokenAsked, r)
	}
	return r, c.verdict(r)
}
