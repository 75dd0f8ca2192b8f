package auth

import (
	"encoding/hex"
	"strings"

	"github.com/emersion/go-sasl"
)

// CramMD5 is the mechanism of RFC 2195. It needs an authenticator that has the
// password itself: the request's Secret is the digest over its Salt.
const CramMD5 = "CRAM-MD5"

// cramServer sends the salt and takes "user digest". There is no initial
// response: the client has nothing to say before it has the salt.
type cramServer struct {
	salt   string
	verify verifyFunc
	step   int
}

// NewCramMD5 starts an exchange over a salt of its own, <random@host>; nobody
// may use a salt twice.
func NewCramMD5(salt string, verify func(authzID, user string, digest Secret) error) sasl.Server {
	return &cramServer{salt: salt, verify: verify}
}

// Next implements sasl.Server.
func (c *cramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	c.step++
	switch {
	case c.step == 1 && response == nil:
		return []byte(c.salt), false, nil
	case c.step != 2:
		c.step = 2
		return nil, true, sasl.ErrUnexpectedClientResponse
	}
	// RFC 2195 section 2: the user may hold spaces, the digest is 32 hex digits.
	at := strings.LastIndexByte(string(response), ' ')
	if at < 0 {
		return nil, true, ErrMalformed
	}
	digest := string(response[at+1:])
	if raw, err := hex.DecodeString(digest); err != nil || len(raw) != 16 {
		return nil, true, ErrMalformed
	}
	return nil, true, c.verify("", string(response[:at]), Secret(digest))
}
