package auth

import (
	"bytes"

	"github.com/emersion/go-sasl"
)

// plainServer is go-sasl's PLAIN (RFC 4616) with two checks before it that it lacks:
// a response of other than three fields is told apart from a refusal (and never
// split into thousands of them), and a missing response can't be sent twice.
type plainServer struct {
	inner sasl.Server
	begun bool
	done  bool
}

func newPlain(verify verifyFunc) sasl.Server {
	return &plainServer{inner: sasl.NewPlainServer(func(identity, username, password string) error {
		return verify(identity, username, Secret(password))
	})}
}

// Next implements sasl.Server.
func (p *plainServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if p.done {
		return nil, true, sasl.ErrUnexpectedClientResponse
	}
	p.done = p.begun || response != nil
	p.begun = true
	// RFC 4616 section 2: [authzid] NUL authcid NUL passwd
	if p.done && bytes.Count(response, []byte{0}) != 2 {
		return nil, true, ErrMalformed
	}
	return p.inner.Next(response)
}
