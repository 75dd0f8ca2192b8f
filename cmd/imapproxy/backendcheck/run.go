// Package backendcheck connects to the backends of a configuration and reports what is
// good and what is wrong with each address.
package backendcheck

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"imapproxy/backend"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// Problem is what is wrong with an address.
type Problem struct {
	backend.Advice
	Warning bool // logins work all the same
}

// Result is what the connections to one address have shown.
type Result struct {
	Target   int      // its index
	Address  string   // as the configuration has it; an address that the name resolves to follows in parentheses
	Facts    []string // what was seen, in words; may be empty
	Problems []Problem

	unreachable bool // there was no connection at all
}

// Failed reports whether no login can work there.
func (r *Result) Failed() bool {
	for _, p := range r.Problems {
		if !p.Warning {
			return true
		}
	}
	return false
}

// Checker says what is checked. Its zero value with Targets can be used.
type Checker struct {
	Targets []*backend.Target
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil is the system's resolver

	// LoginAs returns the user for whom the master login of a target is tried, "" for none; nil is none at all.
	LoginAs func(t *backend.Target) string

	// Silence is how long a backend may say nothing before other ways to speak to it are tried; 0 is a second.
	Silence time.Duration
}

const (
	maxAtOnce      = 16 // addresses
	maxResolved    = 8  // addresses of one name
	defaultSilence = time.Second
)

// place is one address of a target.
type place struct {
	index  int
	target *backend.Target // with this address only
	name   string          // of the address, for people
	ip     netip.Addr      // what the name means; not valid for an address or a Unix socket
}

// Run connects to every address and returns the results in the order of the targets
// and their addresses. Each step is bounded by the target's limits. No connection is
// left open.
func (c *Checker) Run(ctx context.Context) []Result {
	places := c.places(ctx)
	results := make([]Result, len(places))
	var all errgroup.Group
	all.SetLimit(maxAtOnce)
	for i, p := range places {
		all.Go(func() error {
			results[i] = c.look(ctx, p)
			return nil
		})
	}
	_ = all.Wait() // no function returns an error
	forgiveFamilies(places, results)
	return results
}

// places lists all addresses, those that names resolve to one by one.
func (c *Checker) places(ctx context.Context) []place {
	var list []place
	for i, t := range c.Targets {
		for _, address := range t.Addresses {
			only := *t
			only.Addresses = []string{address}
			p := place{index: i, target: &only, name: address}
			found := c.resolve(ctx, t, address)
			if len(found) == 0 {
				list = append(list, p) // Dial says why
			}
			for _, p.ip = range found {
				p.name = fmt.Sprintf("%s (%s)", address, p.ip)
				list = append(list, p)
			}
		}
	}
	return list
}

// resolve returns what a name means, nothing for an address.
func (c *Checker) resolve(ctx context.Context, t *backend.Target, address string) []netip.Addr {
	host, _, err := net.SplitHostPort(address)
	if _, bad := netip.ParseAddr(host); err != nil || bad == nil || strings.HasPrefix(address, wire.UnixPrefix) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.Limits.Connect)
	defer cancel()
	found, err := c.lookUp(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found[:min(len(found), maxResolved)]
}

func (c *Checker) lookUp(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if c.Resolve != nil {
		return c.Resolve(ctx, network, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// dialer returns one for a place. It is used for nothing else, so that what it remembers
// of a failure keeps no later attempt from being made.
func (c *Checker) dialer(p place) *backend.Dialer {
	d := &backend.Dialer{Clock: timing.System{}, Resolve: c.lookUp}
	if p.ip.IsValid() {
		d.Resolve = func(context.Context, string, string) ([]netip.Addr, error) { return []netip.Addr{p.ip}, nil }
	}
	return d
}

// forgiveFamilies makes a warning of an address that can't be reached where another
// address of the same name is good: logins go there.
func forgiveFamilies(places []place, results []Result) {
	for i := range results {
		if !places[i].ip.IsValid() || !results[i].unreachable {
			continue
		}
		for k := range results {
			if places[k].index == places[i].index && places[k].target.Addresses[0] == places[i].target.Addresses[0] &&
				!results[k].Failed() {
				results[i].Problems[0].Warning = true
			}
		}
	}
}
