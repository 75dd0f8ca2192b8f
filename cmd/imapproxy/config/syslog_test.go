package config

import (
	"strings"
	"testing"
)

// TestParseSyslog reads nginx's way of naming a server.
func TestParseSyslog(t *testing.T) {
	for text, want := range map[string]string{
		"server=unix:/dev/log":             "unixgram /dev/log",
		"server=192.0.2.1":                 "udp 192.0.2.1:514",
		"server=log.example.org:5514":      "udp log.example.org:5514",
		"server=[2001:db8::1]:514,tag=x":   "udp [2001:db8::1]:514",
		"":                                 `"" is not known`,
		"facility=mail":                    "names no server",
		"server=unix:/dev/log,facility=x":  `"x" is not a facility`,
		"server=unix:/dev/log,severity=hi": `"hi" is not a severity`,
		"server=unix:/dev/log,colour=red":  `"colour=red" is not known`,
	} {
		s, err := ParseSyslog(text)
		got := s.Network + " " + s.Address
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
