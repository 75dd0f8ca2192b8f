package exits

import (
	"context"
	"fmt"
	"net/netip"

	"imapproxy/cmd/imaprig/rig"
)

// proxyDirect is the name of a peer that is none: clients connect to the backend.
const proxyDirect = "direct"

func isDirect(p *rig.Proxy) bool { return p.Name == proxyDirect }

// startProxy starts a peer, or finds the proxy that runs already. outside is where clients in a namespace would find
// it.
func (o *runOptions) startProxy(ctx context.Context, name string, backend netip.AddrPort, outside netip.Addr) (
	*rig.Proxy, error) {
	switch {
	case o.proxy != "":
		addr, err := resolve(ctx, o.proxy)
		if err != nil {
			return nil, fmt.Errorf("--proxy: %w", err)
		}
		return runningProxy(name, addr, outside)
	case name == proxyDirect:
		p, err := runningProxy(name, backend, outside)
		if err == nil {
			p.Version = "no proxy"
		}
		return p, err
	}
	p, err := rig.FindPeer(name, o.self)
	if err != nil {
		return nil, err
	}
	p.Tuned = o.settings == settingsTuned
	return p.Start(ctx, backend, outside)
}

// runningProxy returns what runs already. Clients in the namespace find it where it listens on every address.
func runningProxy(name string, addr netip.AddrPort, outside netip.Addr) (*rig.Proxy, error) {
	p := &rig.Proxy{Name: name, Addr: addr, Stop: func() error { return nil }}
	if !outside.IsValid() {
		return p, nil
	}
	other := netip.AddrPortFrom(outside, addr.Port())
	there, err := rig.Listens(ownNet, other)
	if there {
		p.Outside = other
	}
	return p, err
}
