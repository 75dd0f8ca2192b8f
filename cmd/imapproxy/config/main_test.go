package config

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// update rewrites the reference in docs.
var update = flag.Bool("update", false, "rewrite the reference in docs/configuration.md")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// mustWrite makes a file for a test.
func mustWrite(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
