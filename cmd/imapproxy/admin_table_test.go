package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode"

	"imapproxy/backend/printable"
)

func TestSpan(t *testing.T) {
	for in, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m00s",
		time.Hour - 1: "59m59s", time.Hour: "1h00m", 23*time.Hour + 59*time.Minute: "23h59m", 24 * time.Hour: "1d00h",
		100*24*time.Hour + 5*time.Hour: "100d05h",
	} {
		if got := span(in); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0B", 999: "999B", 1000: "1.0kB", 9949: "9.9kB", 9950: "10kB", 999499: "999kB", 999500: "1.0MB",
		2_345_000_000: "2.3GB",
		1 << 62:       "4611686TB",
	} {
		if got := size(in); got != want {
			t.Errorf("%d: %s, want %s", in, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out, "A", "LONG", "C")
	table.row("x\ty", "", "\x1b[31m\u202e\n")
	table.row("1", "2", "3")
	table.end()
	const want = "A         LONG  C\nx\\u0009y  -     \\u001b[31m\\u202e\\u000a\n1         2     3\n"
	if got := out.String(); got != want {
		t.Errorf("%q\n%q", got, want)
	}
}

// TestEscapeUnprintable: nothing that a terminal obeys goes out, and what a
// program reads is what went in.
func TestEscapeUnprintable(t *testing.T) {
	in := "a\"\\<é世\x00\x1b\x7f\u0085\u009b\u00ad\u200b\u202e\u2028\ufeff\U000e0041\U0001f600\n"
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	safe := []byte(printable.Escape(string(text)))
	for _, r := range string(safe) {
		if !unicode.IsPrint(r) {
			t.Errorf("%U in %q", r, safe)
		}
	}
	var out string
	if err := json.Unmarshal(safe, &out); err != nil || out != in {
		t.Errorf("%q, error %v, want %q", out, err, in)
	}
}

func TestCounted(t *testing.T) {
	for n, want := range map[int]string{0: "0 sessions", 1: "1 session", 2: "2 sessions"} {
		if got := counted(n, "session"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
