package load

import (
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestLiteralsWithoutDelay wants the fast backend to acknowledge at once a line whose literal has not come: else the
// kernel waits for 40 ms with each command, once it knows the connection.
func TestLiteralsWithoutDelay(t *testing.T) {
	const commands, known, delay = 60, 40, 35 * time.Millisecond
	to := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort})[0]
	target := &Target{Addr: to, TLS: "off", user: "a", password: "b", Limit: time.Minute, nagle: true}
	c, err := target.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.login(); err != nil {
		t.Fatal(err)
	}
	quickest := time.Hour
	for i := range commands {
		began := time.Now()
		if err := c.inTwoWrites("SEARCH SUBJECT", "hello"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); i >= known {
			quickest = min(quickest, took)
		}
	}
	if quickest >= delay {
		t.Errorf("the quickest of %d commands took %v, want less than %v", commands-known, quickest, delay)
	}
}
