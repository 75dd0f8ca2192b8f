package route

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"imapproxy/backend"
)

// mustAllow reads an allow-list.
func mustAllow(tb testing.TB, entries ...string) []Allow {
	tb.Helper()
	var list []Allow
	for _, s := range entries {
		a, err := ParseAllow(s)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

// Who allows the whole world has not allowed this machine and its cloud.
func TestWideAllowListLeavesSpecialAddressesOut(t *testing.T) {
	wide, err := NewTargets(TargetsOptions{Template: &backend.Target{}, Allow: mustAllow(t, "0.0.0.0/0:1-65535",
		"[::/0]:1-65535")})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"192.0.2.1:143", "[2001:db8::1]:143"} {
		if _, err := wide.Resolve(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, r := range slices.Concat(narrowOnly, neverBackend) {
		s := netip.AddrPortFrom(r.prefix.Addr(), 143).String()
		if _, err := wide.Resolve(s); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%s (%s): error %v", s, r.why, err)
		}
	}
	for _, r := range narrowOnly {
		entry := "[" + r.prefix.String() + "]:143"
		if r.prefix.Addr().Is4() {
			entry = r.prefix.String() + ":143"
		}
		narrow, err := NewTargets(TargetsOptions{Template: &backend.Target{}, Allow: mustAllow(t, entry)})
		if err != nil {
			t.Fatal(err)
		}
		last := r.prefix.Addr()
		if !r.prefix.IsSingleIP() {
			last = last.Next().Next() // the first one of ::/96 is ::1
		}
		if _, err := narrow.Resolve(netip.AddrPortFrom(last, 143).String()); err != nil {
			t.Errorf("listed by its own prefix: %v", err)
		}
	}
	metadata, err := NewTargets(TargetsOptions{Template: &backend.Target{}, Allow: mustAllow(t, "169.254.0.0/16:143")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metadata.Resolve("169.254.169.254"); err == nil {
		t.Error("listing link-local addresses listed the metadata address")
	}
}

// A name of a target may be in the list as a host, too.
func TestResolveNamedHostInList(t *testing.T) {
	targets, err := NewTargets(TargetsOptions{
		Named:    []*backend.Target{{Name: "imap.example.org", Addresses: []string{"192.0.2.1:143"}}},
		Template: &backend.Target{}, Allow: mustAllow(t, "imap.example.org:1143")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := targets.Resolve("imap.example.org:1143"); err != nil || got.Addresses[0] != "imap.example.org:1143" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseAllow(t *testing.T) {
	for in, want := range map[string]Allow{
		"10.0.0.0/8:143-993":    {prefix: netip.MustParsePrefix("10.0.0.0/8"), first: 143, last: 993},
		"10.0.0.1:143":          {prefix: netip.MustParsePrefix("10.0.0.1/32"), first: 143, last: 143},
		"[fd00::/8]:993":        {prefix: netip.MustParsePrefix("fd00::/8"), first: 993, last: 993},
		"[fd00::1]:1-65535":     {prefix: netip.MustParsePrefix("fd00::1/128"), first: 1, last: 65535},
		"IMAP1.Example.org.:99": {host: "imap1.example.org", first: 99, last: 99},
		"10.0.0.0/8:*":          {prefix: netip.MustParsePrefix("10.0.0.0/8"), first: 1, last: 65535},
		"[fd00::1]:*":           {prefix: netip.MustParsePrefix("fd00::1/128"), first: 1, last: 65535},
		"imap1.example.org:*":   {host: "imap1.example.org", first: 1, last: 65535},
	} {
		if got, err := ParseAllow(in); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                              "has no port",
		"10.0.0.1":                      "has no port",
		"[fd00::1]":                     "has no port",
		"10.0.0.1:0":                    "not a number from 1 to 65535",
		"10.0.0.1:65536":                "not a number from 1 to 65535",
		"10.0.0.1:":                     "not a number from 1 to 65535",
		"10.0.0.1:1-":                   "not a number from 1 to 65535",
		"10.0.0.1:*-143":                "not a number from 1 to 65535",
		"10.0.0.1:143-*":                "not a number from 1 to 65535",
		"10.0.0.1:**":                   "not a number from 1 to 65535",
		"*:143":                         "nor a host name",
		"10.0.0.1:993-143":              "write 143-993",
		"10.0.0.1/8:143":                "write 10.0.0.0/8",
		"10.0.0.0/33:143":               "not a prefix",
		"fd00::/8:143":                  "brackets",
		"[10.0.0.1]:143":                "brackets",
		"[fd00::1:143":                  "brackets",
		"[::ffff:10.0.0.1]:143":         "as IPv4",
		"[::ffff:10.0.0.0/104]:143":     "as IPv4",
		"127.1:143":                     "last label is a number",
		"0x7f000001:143":                "last label is a number",
		"*.example.org:143":             "nor a host name",
		"-a.example.org:143":            "nor a host name",
		strings.Repeat("a", 300) + ":1": "at most 255",
	} {
		if got, err := ParseAllow(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %+v, %v, want an error with %q", in, got, err, want)
		}
	}
}
