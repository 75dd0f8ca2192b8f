package imapproxy

import (
	"strings"

	"imapproxy/auth"
	"imapproxy/backend"
)

// cause says in one word why a login failed. The set is closed, so that programs
// can act on it: docs/logins.md has them all.
type cause string

const (
	// causeCredentials is a user name or secret that is wrong, and no other: who bans clients goes by it.
	causeCredentials cause = "credentials"
	causeDisabled    cause = "disabled"  // the account may not log in, whatever the password
	causeLimit       cause = "limit"     // too many connections, of the user, the backend or this machine
	causePolicy      cause = "policy"    // this login is not permitted, though the credentials may be right
	causeMalformed   cause = "malformed" // credentials that no account can have: nothing was checked
	causeRefused     cause = "refused"   // the backend says why only in words for the user
	causeBackend     cause = "backend"   // it can't be reached, or takes no logins
	causeAuth        cause = "auth"      // the source of users does not answer
	causeRoute       cause = "route"     // no backend is known for the user
	causeSetup       cause = "setup"     // the operator has to mend the configuration
)

// causes are all of them.
func causes() []cause {
	return []cause{causeCredentials, causeDisabled, causeLimit, causePolicy, causeMalformed, causeRefused, causeBackend,
		causeAuth, causeRoute, causeSetup}
}

// causeOfCode is what a response code (RFC 5530) in a refusal means; otherwise is
// for codes that say nothing of the user or the credentials. Without a code a
// backend may mean the password, a limit or itself: a ban by it would hit the innocent.
func causeOfCode(code string, otherwise cause) cause {
	switch code {
	case "AUTHENTICATIONFAILED":
		return causeCredentials
	case "EXPIRED", "NOPERM", "CONTACTADMIN":
		return causeDisabled
	case "LIMIT", "INUSE", "OVERQUOTA":
		return causeLimit
	case "AUTHORIZATIONFAILED", "PRIVACYREQUIRED", "CANNOT":
		return causePolicy
	case "", "ALERT":
		return causeRefused
	}
	return otherwise
}

// wordsOfOthers are in refusals of auth servers, which have no codes, that are not
// about the credentials.
var wordsOfOthers = []struct {
	words string
	cause cause
}{
	{"too many", causeLimit}, {"maximum", causeLimit}, {"limit", causeLimit},
	{"temporar", causeAuth}, {"later", causeAuth}, {"unavailable", causeAuth}, {"internal error", causeAuth},
	{"disabled", causeDisabled}, {"locked", causeDisabled}, {"expired", causeDisabled},
}

// causeOfDenial is why the source of users refused. Without a code that is the
// credentials, unless the words say otherwise: who is banned for a limit, or while a
// server is down, has guessed nothing.
func causeOfDenial(d *auth.Denied) cause {
	switch {
	case d.Disabled:
		return causeDisabled
	case d.Code == "CLIENTBUG":
		return causeMalformed
	case d.Code != "":
		return causeOfCode(d.Code, causeAuth)
	}
	text := strings.ToLower(d.Text)
	for _, other := range wordsOfOthers {
		if strings.Contains(text, other.words) {
			return other.cause
		}
	}
	return causeCredentials
}

// causeOfFailure is why no backend could be had.
func causeOfFailure(e *backend.Error) cause {
	switch e.Kind {
	case backend.KindPool, backend.KindLocal:
		return causeLimit
	case backend.KindConfig, backend.KindLoop, backend.KindCredentials, backend.KindReferral:
		return causeSetup
	}
	if a, found := backend.AnswerOf(e); found && causeOfCode(a.Code, causeBackend) == causeLimit {
		return causeLimit
	}
	return causeBackend
}

// failedLogin is the last login that failed: what the lines about it say.
type failedLogin struct {
	err    error
	cause  cause
	detail string // a response code or the kind of a backend's failure, in lower case; "" for none
}
