package route

import (
	"context"
	"errors"
	"fmt"

	"imapproxy/backend"
	"imapproxy/backend/printable"
	"imapproxy/backend/username"
)

// maxLoginName bounds a user name that a router looks up or produces, in
// bytes: room for the longest name that a client may send and a domain.
const maxLoginName = 1024

type fixedRouter struct {
	target *backend.Target
	login  username.Rewrite
}

// NewFixed returns a Router that sends every user to t, under the name that
// login makes of theirs.
func NewFixed(t *backend.Target, login username.Rewrite) backend.Router {
	return fixedRouter{target: t, login: login}
}

// Route implements Router.
func (f fixedRouter) Route(_ context.Context, q backend.Query) (backend.Route, error) {
	return newRoute(f.target, f.login.Apply(q.User), "fixed target "+f.target.Name)
}

// newRoute is where every router's answer is made, so that no backend is sent
// a user name that is empty or could end a line.
func newRoute(t *backend.Target, user, rule string) (backend.Route, error) {
	if err := checkLoginName(user); err != nil {
		return backend.Route{}, fmt.Errorf("%s: user name %s for the backend's login: %w",
			rule, printable.Quote(user), err)
	}
	return backend.Route{Target: t, User: user, Rule: rule}, nil
}

// checkLoginName refuses names that are empty, over-long or hold a control
// byte (0x00 to 0x1F, 0x7F).
func checkLoginName(user string) error {
	if user == "" {
		return errors.New("empty")
	}
	if len(user) > maxLoginName {
		return fmt.Errorf("%d bytes long, at most %d are allowed", len(user), maxLoginName)
	}
	for i := range len(user) {
		if isControl(user[i]) {
			return fmt.Errorf("control byte 0x%02X at position %d", user[i], i+1)
		}
	}
	return nil
}

func isControl(b byte) bool { return b < 0x20 || b == 0x7F }
