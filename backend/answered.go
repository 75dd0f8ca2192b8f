package backend

import (
	"context"
	"fmt"
)

type answeredRouter struct {
	resolve  Resolver
	login    Rewrite
	fallback Router
}

// NewAnswered returns a Router that follows the server that the auth answer
// names (Query.Server), as far as resolve permits it. When the answer names
// none, fallback is asked; without a fallback (nil) that is ErrNoRoute.
func NewAnswered(resolve Resolver, login Rewrite, fallback Router) Router {
	return answeredRouter{resolve: resolve, login: login, fallback: fallback}
}

// Route implements Router.
func (a answeredRouter) Route(ctx context.Context, q Query) (Route, error) {
	if q.Server == "" {
		if a.fallback == nil {
			return Route{}, fmt.Errorf("auth answer names no server for user %s: %w", quoteShort(q.User), ErrNoRoute)
		}
		return a.fallback.Route(ctx, q)
	}
	target, err := a.resolve(q.Server)
	if err != nil {
		return Route{}, fmt.Errorf("auth answer: %w", err)
	}
	return newRoute(target, a.login.Apply(q.User), "auth answer "+q.Server)
}
