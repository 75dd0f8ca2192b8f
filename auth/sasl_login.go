package auth

import "github.com/emersion/go-sasl"

// loginServer is the mechanism LOGIN (draft-murchison-sasl-login, obsolete but
// what many devices speak). An initial response is the user name.
type loginServer struct {
	verify verifyFunc
	step   loginStep
	user   string
}

type loginStep int

const (
	loginStart loginStep = iota
	loginUser
	loginPassword
	loginDone
)

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.step == loginStart && response == nil:
		l.step = loginUser
		return []byte("Username:"), false, nil
	case l.step <= loginUser:
		l.step, l.user = loginPassword, string(response)
		return []byte("Password:"), false, nil
	case l.step == loginPassword:
		l.step = loginDone
		return nil, true, l.verify("", l.user, Secret(response))
	}
	return nil, true, sasl.ErrUnexpectedClientResponse
}
