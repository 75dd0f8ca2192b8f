package config

import (
	"strings"
	"testing"
)

// TestPortRange gives each port of a range a socket.
func TestPortRange(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:1100-1102": "127.0.0.1:1100 127.0.0.1:1101 127.0.0.1:1102",
		":1100-1100":          ":1100",
		"[::1]:1100-1101":     "[::1]:1100 [::1]:1101",
		"127.0.0.1:1100":      "127.0.0.1:1100",
		":1105-1100":          ":1105-1100",
	} {
		if got := strings.Join(PortRange(address), " "); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{":1100-1105", ":1105-1110", true}, {":1100-1105", ":1106", false}, {":1100-1105", "127.0.0.1:1103", true},
		{"127.0.0.1:1100-1105", "127.0.0.2:1100-1105", false},
	} {
		if sameAddress(tt.a, tt.b) != tt.same || sameAddress(tt.b, tt.a) != tt.same {
			t.Errorf("%s and %s: not %v", tt.a, tt.b, tt.same)
		}
	}
	for _, bad := range []string{":0-5", ":5-4", ":1-70000", ":a-b", ":1-", ":1100-2100"} {
		if checkHostPort(bad, true) == "" {
			t.Errorf("%s is taken", bad)
		}
	}
	if checkHostPort("127.0.0.1:1100-1105", true) != "" || checkHostPort("127.0.0.1:1100-1105", false) == "" {
		t.Error("ranges are for listeners only")
	}
}

func TestSameAddress(t *testing.T) {
	tests := []struct {
		a, b string
		same bool
	}{
		{":143", ":143", true}, {":143", ":993", false}, {":143", "127.0.0.1:143", true},
		{"127.0.0.1:143", "[::]:143", false}, {"0.0.0.0:143", "[::]:143", false}, {"0.0.0.0:143", ":143", true},
		{"127.0.0.1:143", "0.0.0.0:143", true}, {"[::1]:143", "[::]:143", true},
		{"127.0.0.1:143", "127.0.0.2:143", false}, {"localhost:143", "127.0.0.1:143", true},
		{"[::ffff:127.0.0.1]:143", "127.0.0.1:143", true},
		{"[::1]:143", "[0:0::1]:143", true}, {"A.example.org:143", "a.example.org:143", true},
		{"127.0.0.1:0", "127.0.0.1:0", false},
	}
	for _, tt := range tests {
		if sameAddress(tt.a, tt.b) != tt.same || sameAddress(tt.b, tt.a) != tt.same {
			t.Errorf("%s and %s: not %v", tt.a, tt.b, tt.same)
		}
	}
}
