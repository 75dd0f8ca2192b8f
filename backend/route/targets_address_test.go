package route

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"imapproxy/backend"
)

// addressTargets have addresses of every kind; "one" and "two" share one.
func addressTargets(t *testing.T, allow ...string) *Targets {
	t.Helper()
	targets, err := NewTargets(TargetsOptions{
		Named: []*backend.Target{
			{Name: "local", Addresses: []string{"127.0.0.1:26043"}, ForwardID: true},
			{Name: "stores", Addresses: []string{"192.0.2.1:143", "Imap2.Example.org:143", "[2001:DB8::3]:1143"},
				TLS: backend.TLSStartTLS},
			{Name: "tls", Addresses: []string{"imap3.example.org:993"}, TLS: backend.TLSImplicit},
			{Name: "mapped", Addresses: []string{"[::ffff:192.0.2.4]:143"}},
			{Name: "socket", Addresses: []string{"unix:/run/imap"}},
			{Name: "zone", Addresses: []string{"[fe80::1%eth0]:143"}},
			{Name: "one", Addresses: []string{"192.0.2.5:143"}},
			{Name: "two", Addresses: []string{"192.0.2.5:143", "192.0.2.6:143"}},
			{Name: "twice", Addresses: []string{"192.0.2.7:143", "192.0.2.7:143"}},
			{Name: "path", Addresses: []string{"unix:/run/imap:0"}},
			{Name: "same-path", Addresses: []string{"unix:/run/imap:0"}},
		},
		Template: &backend.Target{TLS: backend.TLSImplicit}, Allow: mustAllow(t, allow...),
		SelfAddresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:143")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

// TestAddressOfTarget says that an address of a target means that target, in
// each way to write it, whatever the allow-list holds.
func TestAddressOfTarget(t *testing.T) {
	targets := addressTargets(t, "0.0.0.0/0:*", "127.0.0.0/8:*")
	for in, want := range map[string]struct{ name, address string }{
		"127.0.0.1:26043":          {"local", "127.0.0.1:26043"},
		"127.0.0.1:026043":         {"local", "127.0.0.1:26043"},
		"::ffff:127.0.0.1":         {"127.0.0.1:993", "127.0.0.1:993"}, // not the target's port
		"[::ffff:127.0.0.1]:26043": {"local", "127.0.0.1:26043"},
		"192.0.2.1:143":            {"stores", "192.0.2.1:143"},
		"192.0.2.1":                {"stores", "192.0.2.1:143"},
		"192.0.2.1:144":            {"192.0.2.1:144", "192.0.2.1:144"},
		"imap2.example.org:143":    {"stores", "Imap2.Example.org:143"},
		"IMAP2.example.ORG.":       {"stores", "Imap2.Example.org:143"},
		"[2001:db8::0:3]:1143":     {"stores", "[2001:DB8::3]:1143"},
		"imap3.example.org":        {"tls", "imap3.example.org:993"},
		"imap3.example.org:993":    {"tls", "imap3.example.org:993"},
		"192.0.2.4":                {"mapped", "[::ffff:192.0.2.4]:143"},
		"unix:/run/imap":           {"socket", "unix:/run/imap"},
		"192.0.2.6":                {"two", "192.0.2.6:143"},
		"192.0.2.7":                {"twice", "192.0.2.7:143"},
	} {
		got, err := targets.Resolve(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got.Name != want.name || !reflect.DeepEqual(got.Addresses, []string{want.address}) {
			t.Errorf("%s: got %s at %v, want %+v", in, got.Name, got.Addresses, want)
		}
		if again, err := targets.Resolve(in); err != nil || again != got {
			t.Errorf("%s: another target the second time (%v)", in, err)
		}
	}
	local, err := targets.Resolve("127.0.0.1:26043")
	if named := targets.named["local"]; err != nil || local != named {
		t.Errorf("the only address of a target gives a copy of it: %+v, %v", local, err)
	}
	stores, err := targets.Resolve("192.0.2.1:143")
	if err != nil || stores.TLS != backend.TLSStartTLS || len(targets.named["stores"].Addresses) != 3 {
		t.Errorf("one of several addresses: %+v, %v", stores, err)
	}
}

// TestAddressOfSeveralTargets says that an address that two targets have is
// neither: it is what the allow-list makes of it.
func TestAddressOfSeveralTargets(t *testing.T) {
	targets := addressTargets(t)
	for _, in := range []string{"192.0.2.5", "192.0.2.5:143"} {
		got, err := targets.Resolve(in)
		if !errors.Is(err, backend.ErrNotPermitted) ||
			!strings.Contains(err.Error(), `is an address of the targets "one" and "two": write the target's name`) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	if got, err := addressTargets(t, "192.0.2.0/24:*").Resolve("192.0.2.5:143"); err != nil ||
		got.Name != "192.0.2.5:143" || got.TLS != backend.TLSImplicit {
		t.Errorf("within the allow-list: %+v, %v", got, err)
	}
	want := []SharedAddress{{"192.0.2.5:143", []string{"one", "two"}},
		{"unix:/run/imap:0", []string{"path", "same-path"}}}
	if got := targets.Shared(); !reflect.DeepEqual(got, want) {
		t.Errorf("shared: %+v, want %+v", got, want)
	}
}

// TestHostOfTwoTargets says that a host with a target at each of the usual ports
// means, without a port, the one at the template's port, and not the template.
func TestHostOfTwoTargets(t *testing.T) {
	for want, template := range map[string]*backend.Target{"refused": nil, "tls": {TLS: backend.TLSImplicit},
		"plain": {TLS: backend.TLSStartTLS}} {
		targets, err := NewTargets(TargetsOptions{Template: template, Allow: mustAllow(t, "192.0.2.0/24:*"),
			Named: []*backend.Target{
				{Name: "plain", Addresses: []string{"192.0.2.8:143"}},
				{Name: "tls", Addresses: []string{"192.0.2.8:993"}, TLS: backend.TLSImplicit},
			}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := targets.Resolve("192.0.2.8")
		if err != nil {
			got = &backend.Target{Name: "refused"}
		}
		if got.Name != want {
			t.Errorf("got %s, want %s", got.Name, want)
		}
	}
}

// TestOwnListenerWithZone refuses a target at our own link-local listener, which
// can't be written without its zone.
func TestOwnListenerWithZone(t *testing.T) {
	self := []netip.AddrPort{netip.MustParseAddrPort("[fe80::1%eth0]:143")}
	for address, own := range map[string]bool{"[fe80::1%eth0]:143": true, "[fe80::1%eth0]:1143": false,
		"[fe80::2%eth0]:143": false} {
		_, err := NewTargets(TargetsOptions{SelfAddresses: self,
			Named: []*backend.Target{{Name: "loop", Addresses: []string{address}}}})
		if (err != nil) != own {
			t.Errorf("target %s: %v", address, err)
		}
	}
}

// TestOwnListenerByName refuses our own listeners under the name of this
// machine, as a target and as an address of the allow-list.
func TestOwnListenerByName(t *testing.T) {
	self := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:143")}
	for address, own := range map[string]bool{"localhost:143": true, "LOCALHOST.:143": true, "localhost:1143": false} {
		_, err := NewTargets(TargetsOptions{SelfAddresses: self,
			Named: []*backend.Target{{Name: "loop", Addresses: []string{address}}}})
		if (err != nil) != own || own && !strings.Contains(err.Error(), "this proxy's own listener") {
			t.Errorf("target %s: %v", address, err)
		}
		targets, err := NewTargets(TargetsOptions{SelfAddresses: self, Template: &backend.Target{},
			Allow: mustAllow(t, "localhost:*")})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := targets.Resolve(address); (err != nil) != own {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
}
