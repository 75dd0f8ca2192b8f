//go:build soak

package main

import "testing"

// TestSoakServers is TestServers with each way that a session may end before the
// pool hands its connection over.
func TestSoakServers(t *testing.T) {
	for _, kind := range serverKinds {
		t.Run(kind.name, func(t *testing.T) { checkServer(t, kind, true) })
	}
}
