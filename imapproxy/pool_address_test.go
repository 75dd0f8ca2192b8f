package imapproxy

import (
	"context"
	"testing"

	"imapproxy/backend"
)

// addressRouter sends everybody to a part of a target, which may change.
type addressRouter struct{ to *backend.Target }

// Route implements backend.Router.
func (a *addressRouter) Route(_ context.Context, q backend.Query) (backend.Route, error) {
	return backend.Route{Target: a.to, User: q.User, Rule: "test"}, nil
}

// TestPoolOfAddress says that a connection is used again only at the address
// that was named, where each of a target's addresses stands for a part of it, and
// that they count as the target's.
func TestPoolOfAddress(t *testing.T) {
	second := startBackend(t, pooledMailbox(nil))
	t.Cleanup(second.stop)
	router := &addressRouter{}
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)), func(r *rig) { r.router = router })
	other := *r.target
	other.Addresses = []string{second.address()}
	for n, to := range []*backend.Target{r.target, &other, r.target, &other} {
		router.to = to
		c := r.login("plain", "jane")
		c.leaveByLogout()
		r.awaitIdle(min(n+1, 2))
	}
	if here, there := len(r.backend.logins()), len(second.logins()); here != 1 || there != 1 {
		t.Errorf("%d logins at the first address, %d at the second, want one each", here, there)
	}
}
