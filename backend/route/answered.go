package route

import (
	"context"
	"fmt"

	"imapproxy/backend"
	"imapproxy/backend/printable"
	"imapproxy/backend/username"
)

type answeredRouter struct {
	resolve  Resolver
	login    username.Rewrite
	fallback backend.Router
}

// NewAnswered returns a Router that follows the server that the auth answer
// names (Query.Server), as far as resolve permits it. When the answer names
// none, fallback is asked; without a fallback (nil) that is ErrNoRoute.
func NewAnswered(resolve Resolver, login username.Rewrite, fallback backend.Router) backend.Router {
	return answeredRouter{resolve: resolve, login: login, fallback: fallback}
}

// Route implements Router.
func (a answeredRouter) Route(ctx context.Context, q backend.Query) (backend.Route, error) {
	if q.Server == "" {
		if a.fallback == nil {
			return backend.Route{}, fmt.Errorf("auth answer names no server for user %s: %w", printable.Quote(q.User),
				backend.ErrNoRoute)
		}
		return a.fallback.Route(ctx, q)
	}
	target, err := a.resolve(q.Server)
	if err != nil {
		return backend.Route{}, fmt.Errorf("auth answer: %w", err)
	}
	return newRoute(target, a.login.Apply(q.User), "auth answer "+q.Server)
}
