package auth

import (
	"bytes"
	"strings"

	"github.com/emersion/go-sasl"
)

// The mechanisms of clients that have a bearer token (RFC 6750) instead of a
// password: the standard one, and the older one of Google and Microsoft.
const (
	OAuthBearer = sasl.OAuthBearer // RFC 7628
	XOAuth2     = "XOAUTH2"        // https://developers.google.com/gmail/imap/xoauth2-protocol
)

// IsToken reports whether a mechanism's secret is a bearer token.
func IsToken(mechanism string) bool { return mechanism == OAuthBearer || mechanism == XOAuth2 }

// TokenDummy is what a client answers to the error challenge of a mechanism
// before it reads the refusal (RFC 7628 section 3.2.3).
func TokenDummy(mechanism string) string {
	if mechanism == OAuthBearer {
		return "\x01"
	}
	return ""
}

// tokenServer takes the one message of either mechanism. go-sasl's OAUTHBEARER
// answers a refusal within the exchange, before anybody has asked the auth
// server, does not decode the user and panics on an empty dummy answer.
type tokenServer struct {
	parse  func(message string) (user, token string, ok bool)
	verify verifyFunc
	begun  bool
	done   bool
}

// Next implements sasl.Server.
func (s *tokenServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if s.done {
		return nil, true, sasl.ErrUnexpectedClientResponse
	}
	if response == nil && !s.begun {
		s.begun = true
		return []byte{}, false, nil
	}
	s.done = true
	user, token, ok := s.parse(string(response))
	if !ok {
		return nil, true, ErrMalformed
	}
	return nil, true, s.verify("", user, Secret(token))
}

// parseXOAuth2 takes user=USER^Aauth=Bearer TOKEN^A^A.
func parseXOAuth2(message string) (user, token string, ok bool) {
	pairs, ok := tokenPairs(message)
	return pairs["user"], bearer(pairs), ok
}

// parseOAuthBearer takes n,a=USER,^Akey=value^A...^A (RFC 7628 section 3.1). A
// client that insists on channel binding (p=) can't be served.
func parseOAuthBearer(message string) (user, token string, ok bool) {
	fields := strings.SplitN(message, ",", 3)
	if len(fields) != 3 || (fields[0] != "n" && fields[0] != "y") || !strings.HasPrefix(fields[2], "\x01") {
		return "", "", false
	}
	if name, found := cutFold(fields[1], "a="); found {
		if user, ok = saslName(name); !ok {
			return "", "", false
		}
	} else if fields[1] != "" {
		return "", "", false
	}
	pairs, ok := tokenPairs(fields[2][1:])
	return user, bearer(pairs), ok
}

// maxTokenPairs bounds the pairs of a message; RFC 7628 has six.
const maxTokenPairs = 16

// tokenPairs takes key=value pairs, each ended by ^A, and the ^A after them.
// No key may come twice: two readers could take two values.
func tokenPairs(message string) (map[string]string, bool) {
	body, found := strings.CutSuffix(message, "\x01\x01")
	if !found || bytes.Count([]byte(body), []byte{1}) >= maxTokenPairs {
		return nil, false
	}
	pairs := map[string]string{}
	for _, pair := range strings.Split(body, "\x01") {
		key, value, found := strings.Cut(pair, "=")
		key = strings.ToLower(key)
		if _, twice := pairs[key]; !found || key == "" || twice {
			return nil, false
		}
		pairs[key] = value
	}
	return pairs, true
}

// bearer takes the token; its type's case does not matter (RFC 6750).
func bearer(pairs map[string]string) string {
	token, _ := cutFold(pairs["auth"], "bearer ")
	return strings.TrimLeft(token, " ")
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// saslName decodes =2C and =3D, the only escapes there are (RFC 5801).
func saslName(s string) (string, bool) {
	plain := strings.NewReplacer("=2C", "", "=2c", "", "=3D", "", "=3d", "").Replace(s)
	if strings.Contains(plain, "=") {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=2c", ",", "=3D", "=", "=3d", "=").Replace(s), true
}
