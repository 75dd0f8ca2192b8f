package main

import (
	"testing"

	"imapproxy/cmd/imapproxy/config"
)

// TestSources holds the two tables of sources against each other: what the
// schema knows, and how each is made.
func TestSources(t *testing.T) {
	known, made := config.Sources(), sources()
	if len(known) != len(made) {
		t.Fatalf("the schema has %d sources, the program %d", len(known), len(made))
	}
	for i, k := range known {
		m := made[i]
		if k.Name != m.name || m.build == nil || k.PerListener != (m.own != nil) {
			t.Errorf("source %d is %q in the schema (of a listener: %v) and %q in the program (of a listener: %v)",
				i, k.Name, k.PerListener, m.name, m.own != nil)
		}
	}
	if a, explain := sourceOf(&config.Auth{Type: "nothing"}).build(&config.Auth{}, &config.Report{}); a != nil ||
		explain != nil {
		t.Errorf("an unknown type makes %T", a)
	}
}
