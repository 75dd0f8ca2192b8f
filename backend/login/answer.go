// Package login holds how a backend is logged in to, and what it answers when it
// does not let a user in.
package login

import "strings"

// Mechanism says how a password is sent to a backend. A bearer token goes by the
// mechanism that it needs, whatever this says.
type Mechanism int

// The mechanisms.
const (
	MechanismAuto     Mechanism = iota // what the backend offers, and another way when it does not accept that
	MechanismPlain                     // AUTHENTICATE PLAIN only
	MechanismLogin                     // LOGIN, or AUTHENTICATE LOGIN where LOGIN is disabled
	MechanismLiterals                  // LOGIN with literals, without a question for the capabilities before it
)

// Texts says what a client is told in the backend's own words when its login is
// refused. Alerts (RFC 9051 section 7.1) are passed on with all of them.
type Texts int

// The choices.
const (
	TextsCodes Texts = iota // the response code, with our text
	TextsAll                // the response code and the backend's text
	TextsNone               // neither: our text
)

// Answer is what a backend says to a login that it does not let in: NO or BAD to
// the command, or BYE.
type Answer struct {
	Word string // NO, BAD or BYE
	// Code is the name of the response code, in upper case: one of RFC 5530 or ALERT. "" stands for none, and for
	// all others, which tell a client nothing that it could act on.
	Code     string
	Text     string // the words, printable and no response code, at most 256 bytes
	Line     string // all of it without the tag, printable, at most 1024 bytes
	Referral string // the host or host:port that REFERRAL names (RFC 2221), "?" for an unreadable one, "" without
	Texts    Texts  // what of it the client may read
	Trusted  bool   // it comes from the backend, for all that the configuration asks
}

// String returns the answer for a log, without its first word.
func (a Answer) String() string {
	_, rest, _ := strings.Cut(a.Line, " ")
	return rest
}
