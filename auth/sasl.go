package auth

import (
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
)

// ErrMalformed is what a mechanism's Next returns for a response that breaks
// the mechanism's own syntax: the client reads BAD, not NO, and verify was not
// called.
var ErrMalformed = errors.New("malformed SASL response")

// verifyFunc decides over the credentials that a mechanism collected; its error
// is what the mechanism's Next returns.
type verifyFunc = func(authzID, user string, secret Secret) error

// Mechanisms lists the mechanisms that every authenticator can serve, in the
// order they are advertised.
func Mechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// NewMechanism starts an exchange of the named mechanism (case does not
// matter); false when there is none of that name. Responses come decoded from
// base64. Next gets nil once at the start when the client sent no initial
// response; credentials that CheckCredentials refuses never reach verify, and
// verify is called once at most.
func NewMechanism(name string, verify func(authzID, user string, secret Secret) error) (sasl.Server, bool) {
	name = strings.ToUpper(name)
	checked := func(authzID, user string, secret Secret) error {
		if err := checkCredentials(user, authzID, secret, mostSecret(name)); err != nil {
			return err
		}
		return verify(authzID, user, secret)
	}
	switch name {
	case sasl.Plain:
		return newPlain(checked), true
	case sasl.Login:
		return &loginServer{verify: checked}, true
	case XOAuth2:
		return &tokenServer{parse: parseXOAuth2, verify: checked}, true
	case OAuthBearer:
		return &tokenServer{parse: parseOAuthBearer, verify: checked}, true
	}
	return nil, false
}
