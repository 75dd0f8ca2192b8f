package route

import (
	"maps"
	"slices"
	"strings"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// addAddress lets one of a target's addresses stand for the target, as
// canonical host:port, with port 0 too where the port is that of its TLS, or as
// unix:/path. Of a target with several addresses it stands for the target at
// only that one: whoever names it may know that a user's mail is there.
func (t *Targets) addAddress(target *backend.Target, address string) {
	if len(target.Addresses) > 1 {
		only := *target
		only.Addresses = []string{address}
		target = &only
	}
	add := func(key string) {
		if !slices.ContainsFunc(t.byAddress[key], func(o *backend.Target) bool { return o.Name == target.Name }) {
			t.byAddress[key] = append(t.byAddress[key], target)
		}
	}
	if strings.HasPrefix(address, wire.UnixPrefix) {
		add(address)
		return
	}
	usual := usualPort(target)
	e, err := parseEndpoint(address, usual)
	if err != nil {
		return // an address that only a target can have, such as one with a zone
	}
	add(e.String())
	if e.port == usual {
		e.port = 0
		add(e.String())
	}
}

// sole returns the only target that has an address, as addAddress has written it.
func (t *Targets) sole(key string) (*backend.Target, bool) {
	if owners := t.byAddress[key]; len(owners) == 1 {
		return owners[0], true
	}
	return nil, false
}

// SharedAddress is an address that several targets have, so that it stands for
// none of them.
type SharedAddress struct {
	Address string
	Targets []string // their names, in the order of TargetsOptions.Named
}

// Shared returns the addresses that several targets have, in order.
func (t *Targets) Shared() []SharedAddress {
	var shared []SharedAddress
	for _, address := range slices.Sorted(maps.Keys(t.byAddress)) {
		owners := t.byAddress[address]
		if len(owners) < 2 || strings.HasSuffix(address, ":0") && !strings.HasPrefix(address, wire.UnixPrefix) {
			continue // the last is an address without its port
		}
		names := make([]string, len(owners))
		for i, target := range owners {
			names[i] = target.Name
		}
		shared = append(shared, SharedAddress{address, names})
	}
	return shared
}
