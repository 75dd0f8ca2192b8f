package auth

import (
	"context"
	"errors"
	"testing"
)

func TestPassthrough(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Request
		want *Grant // nil: denied
	}{
		{"user", Request{User: "bob", Secret: canary}, &Grant{User: "bob", Secret: canary, BackendJudges: true}},
		{"same authzid", Request{User: "bob", AuthzID: "bob", Secret: canary}, &Grant{User: "bob", Secret: canary,
			BackendJudges: true}},
		{"other authzid", Request{User: "root", AuthzID: "bob", Secret: canary}, &Grant{User: "bob", AuthID: "root",
			Secret: canary, BackendJudges: true}},
		{"no user", Request{AuthzID: "bob", Secret: canary}, nil},
		{"no password", Request{User: "bob"}, nil},
		{"control", Request{User: "bob\n", Secret: canary}, nil},
	} {
		grant, err := Passthrough{}.Authenticate(context.Background(), &c.r)
		var denied *Denied
		switch {
		case c.want == nil && (grant != nil || !errors.As(err, &denied)):
			t.Errorf("%s: got %+v, %v; want a *Denied", c.name, grant, err)
		case c.want != nil && (err != nil || *grant != *c.want):
			t.Errorf("%s: got %+v, %v; want %+v", c.name, grant, err, c.want)
		}
	}
}
