package main

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// update rewrites the expected outputs under testdata and the reference in docs.
var update = flag.Bool("update", false, "rewrite expected outputs and the reference in docs/configuration.md")

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(actAsProgram())
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// mustWrite makes a file for a test.
func mustWrite(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// notQuick leaves a test out of make quick, which runs go test -short.
func notQuick(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out of make quick")
	}
}
