package auth

import "context"

// Passthrough grants every request whose credentials are well-formed: the
// backend judges them, as it does with perdition.
type Passthrough struct{}

// Authenticate implements Authenticator. An authorization identity that is not
// the user becomes a master login, which the backend judges too.
func (Passthrough) Authenticate(_ context.Context, r *Request) (*Grant, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if r.Mechanism == External {
		return nil, &Denied{Code: "CANNOT", Text: "EXTERNAL can't be used here",
			Log: "EXTERNAL gives no password that the backend could judge"}
	}
	if r.Mechanism == CramMD5 {
		return nil, &Denied{Code: "CANNOT", Text: "CRAM-MD5 can't be used here",
			Log: "CRAM-MD5 gives no password that the backend could judge"}
	}
	if IsToken(r.Mechanism) {
		return &Grant{User: r.User, Secret: r.Secret, Token: r.Mechanism, BackendJudges: true}, nil
	}
	if r.AuthzID == "" || r.AuthzID == r.User {
		return &Grant{User: r.User, Secret: r.Secret, BackendJudges: true}, nil
	}
	return &Grant{User: r.AuthzID, AuthID: r.User, Secret: r.Secret, BackendJudges: true}, nil
}
