package main

import (
	"testing"
)

// TestServers
func TestServers(t *testing.T) {
	for _, kind := range []serverKind{cyrus, courier, mailutils} {
		t.Run(kind.name, func(t *testing.T) {
			s := startServer(t, kind)
			t.Log(s.processes)
			for _, m := range []mode{plain, startTLS, tlsFirst} {
				l := open(t, s.endpoint(m))
				l.command(t, `a LOGIN ann "secret of ann"`, "a OK")
				t.Log(s.running(t))
				l.command(t, "x LOGOUT", "x OK")
				l.Close()
			}
			s.rests(t)
			t.Log(s.log())
		})
	}
}
