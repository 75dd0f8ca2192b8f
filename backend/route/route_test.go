package route

import (
	"errors"
	"strings"
	"testing"

	"imapproxy/backend"
	"imapproxy/backend/username"
)

func TestFixed(t *testing.T) {
	target := &backend.Target{Name: "imap1", Addresses: []string{"192.0.2.1:143"}}
	got, err := NewFixed(target, username.Rewrite{StripDomain: true}).Route(t.Context(),
		backend.Query{User: "bob@x", Server: "ignored"})
	want := backend.Route{Target: target, User: "bob", Rule: "fixed target imap1"}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestFixedRefusesUnfitNames(t *testing.T) {
	names := map[string]string{"": "empty", "@x": "empty", strings.Repeat("a", maxLoginName+1): "1025 bytes long"}
	for _, b := range []string{"\x00", "\t", "\r", "\n", "\x1F", "\x7F"} {
		names["bo"+b+"b"] = "control byte"
	}
	for name, want := range names {
		got, err := NewFixed(&backend.Target{Name: "t"}, username.Rewrite{StripDomain: true}).Route(t.Context(),
			backend.Query{User: name})
		if err == nil || !strings.Contains(err.Error(), want) || got != (backend.Route{}) {
			t.Errorf("%.20q: got %+v, %v, want an error with %q", name, got, err, want)
		}
		if err != nil && (len(err.Error()) > 256 || strings.ContainsAny(err.Error(), "\x00\t\r\n\x1F\x7F")) {
			t.Errorf("%.20q: the error is unfit for a log line: %q", name, err)
		}
	}
	if err := checkLoginName(strings.Repeat("a", maxLoginName)); err != nil {
		t.Errorf("longest name: %v", err)
	}
}

func TestAnswered(t *testing.T) {
	targets := exampleTargets(t)
	fallback := NewFixed(&backend.Target{Name: "spare"}, username.Rewrite{})
	login := username.Rewrite{LowerCase: true}
	for _, c := range []struct {
		name     string
		fallback backend.Router
		query    backend.Query
		target   string
		user     string
		rule     string
	}{
		{"a target's name", nil, backend.Query{User: "Bob", Server: "imap1"}, "imap1", "bob", "auth answer imap1"},
		{"an address", nil, backend.Query{User: "Bob", Server: "10.1.2.3:143"}, "10.1.2.3:143", "bob",
			"auth answer 10.1.2.3:143"},
		{"no server", fallback, backend.Query{User: "Bob"}, "spare", "Bob", "fixed target spare"},
		{"a server beats the fallback", fallback, backend.Query{User: "Bob", Server: "imap2"}, "imap2", "bob",
			"auth answer imap2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewAnswered(targets.Resolve, login, c.fallback).Route(t.Context(), c.query)
			if err != nil {
				t.Fatal(err)
			}
			if got.Target.Name != c.target || got.User != c.user || got.Rule != c.rule {
				t.Errorf("got %s, %q, %q, want %s, %q, %q", got.Target.Name, got.User, got.Rule, c.target, c.user,
					c.rule)
			}
		})
	}
}

func TestAnsweredRefuses(t *testing.T) {
	resolve := exampleTargets(t).Resolve
	fallback := NewFixed(&backend.Target{Name: "spare"}, username.Rewrite{})
	for _, c := range []struct {
		name     string
		fallback backend.Router
		query    backend.Query
		noRoute  bool
	}{
		{"no server, no fallback", nil, backend.Query{User: "bob"}, true},
		{"a hostile server is not the fallback's", fallback, backend.Query{User: "bob", Server: "127.0.0.1:22"}, false},
		{"an unfit name", nil, backend.Query{User: "b\nob", Server: "imap1"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewAnswered(resolve, username.Rewrite{}, c.fallback).Route(t.Context(), c.query)
			if err == nil || got != (backend.Route{}) || errors.Is(err, backend.ErrNoRoute) != c.noRoute {
				t.Errorf("got %+v, %v, want an error, ErrNoRoute %v", got, err, c.noRoute)
			}
		})
	}
}
