package route

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"imapproxy/backend"
	"imapproxy/backend/printable"
	"imapproxy/backend/wire"
)

// maxUnnamedTargets bounds the Targets that are kept for addresses without a
// name; the one not used for longest goes first.
const maxUnnamedTargets = 4096

// A target's name can't look like host:port or user@host.
var targetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)

// Resolver turns a target's name or host[:port] into a Target.
type Resolver func(hostport string) (*backend.Target, error)

// TargetsOptions is what NewTargets makes a Targets of.
type TargetsOptions struct {
	Named    []*backend.Target // found by their Name: letters, digits, ".", "_", "-"
	Template *backend.Target   // settings for addresses that have no name; nil refuses all of them
	Allow    []Allow           // which of those addresses may be used; empty refuses all of them

	// SelfAddresses are the proxy's own listeners: never a backend. An
	// unspecified address (0.0.0.0, ::) stands for every address that this
	// machine has when NewTargets is called.
	SelfAddresses []netip.AddrPort
	SelfSockets   []string // Unix sockets it listens on, as "unix:/path"
}

// Targets knows every backend that may be used: the named ones, and the
// addresses that the allow-list permits. It is safe for concurrent use.
type Targets struct {
	named     map[string]*backend.Target
	byAddress map[string][]*backend.Target // who has an address; see addAddress
	template  *backend.Target
	allow     []Allow
	self      selfAddresses
	sockets   []string
	unnamed   *lru.Cache[string, *backend.Target] // by canonical host:port
}

// NewTargets checks the options and returns all errors at once (errors.Join).
func NewTargets(o TargetsOptions) (*Targets, error) {
	self, err := newSelfAddresses(o.SelfAddresses)
	if err != nil {
		return nil, err
	}
	cache, err := lru.New[string, *backend.Target](maxUnnamedTargets)
	if err != nil {
		return nil, fmt.Errorf("cache of unnamed targets: %w", err)
	}
	t := &Targets{named: make(map[string]*backend.Target), byAddress: make(map[string][]*backend.Target),
		template: o.Template, allow: o.Allow, self: self, sockets: o.SelfSockets, unnamed: cache}
	var errs []error
	for _, target := range o.Named {
		errs = append(errs, t.add(target))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Targets) add(target *backend.Target) error {
	if !targetName.MatchString(target.Name) {
		return fmt.Errorf("target %s: a name is 1 to 255 letters, digits, '.', '_' or '-' and begins with a letter "+
			"or digit",
			printable.Quote(target.Name))
	}
	if _, ok := t.named[target.Name]; ok {
		return fmt.Errorf("target %q is defined twice: rename one", target.Name)
	}
	if len(target.Addresses) == 0 {
		return fmt.Errorf("target %q has no address: give it at least one host:port", target.Name)
	}
	t.named[target.Name] = target
	for _, address := range target.Addresses {
		if slices.Contains(t.sockets, address) || t.self.listens(address) {
			return fmt.Errorf("target %q: %s is this proxy's own listener: give the backend's address", target.Name,
				address)
		}
		t.addAddress(target, address)
	}
	return nil
}

// Resolve is a Resolver. A target's name wins, then an address that only one
// target has, which means that target. Anything else is host, host:port,
// [IPv6], [IPv6]:port or a bare IPv6 address, must be in the allow-list, and
// gets a copy of the template. Without a port it means 143, or 993 when the
// TLS of the target or of the template is implicit. Resolve asks no DNS: it
// lets a host name through only when a target or the allow-list holds that very
// name. The same address gives the same *Target for as long as it is in use.
func (t *Targets) Resolve(hostport string) (*backend.Target, error) {
	if target, ok := t.named[hostport]; ok {
		return target, nil
	}
	if target, ok := t.sole(hostport); ok && strings.HasPrefix(hostport, wire.UnixPrefix) {
		return target, nil
	}
	e, err := parseEndpoint(hostport, 0)
	if err == nil {
		key := e.String()
		if target, ok := t.sole(key); ok {
			return target, nil
		}
		if e.port == 0 {
			e.port = usualPort(t.template)
			if target, ok := t.sole(e.String()); ok && t.template != nil {
				return target, nil // others have the host with the port of their TLS
			}
		}
		err = t.permit(e, t.byAddress[key])
	}
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", printable.Quote(hostport), &notPermitted{err})
	}
	return t.fromTemplate(e.String()), nil
}

// notPermitted marks an error as ErrNotPermitted without a word of its own.
type notPermitted struct{ error }

func (*notPermitted) Is(target error) bool { return target == backend.ErrNotPermitted }

func (e *notPermitted) Unwrap() error { return e.error }

// usualPort is the port of an address that has none, for a target's TLS or,
// without a target, for none.
func usualPort(target *backend.Target) uint16 {
	if target != nil && target.TLS == backend.TLSImplicit {
		return 993
	}
	return 143
}

// permit refuses an address that a route must not lead to. owners are the
// targets that have it: none or several.
func (t *Targets) permit(e endpoint, owners []*backend.Target) error {
	if why := inRange(neverBackend, e.ip); why != "" {
		return fmt.Errorf("%s is never a backend: %s", e.ip, why)
	}
	if t.self.has(e) {
		return errors.New("this is the proxy's own listener")
	}
	if t.template != nil {
		for _, a := range t.allow {
			if a.permits(e) {
				return nil
			}
		}
	}
	return t.notPermitted(e, owners)
}

// notPermitted says why e is not in the allow-list, and what to do.
func (t *Targets) notPermitted(e endpoint, owners []*backend.Target) error {
	if len(owners) > 1 {
		return fmt.Errorf("%s is an address of the targets %q and %q: write the target's name", e, owners[0].Name,
			owners[1].Name)
	}
	if _, ok := t.named[e.host]; ok {
		return fmt.Errorf("%s is not permitted: write the target's name, %q, without a port", e, e.host)
	}
	if t.template == nil {
		return fmt.Errorf("there is no target of that name or address, and none without a name is permitted: write "+
			"route.allow with [route.backend] for those; known targets: %s", t.known())
	}
	for _, a := range t.allow {
		if a.coversHost(e) {
			return fmt.Errorf("%s is not permitted: the allow-list holds this address with other ports", e)
		}
	}
	if why := inRange(narrowOnly, e.ip); why != "" {
		return fmt.Errorf("%s is not permitted: %s; the allow-list must hold it by a prefix inside that range", e, why)
	}
	return fmt.Errorf("%s is neither a target's name nor in the allow-list: add it there if it is a backend of yours; "+
		"known targets: %s", e, t.known())
}

// known lists the names of the first targets.
func (t *Targets) known() string {
	const most = 8
	names := slices.Sorted(maps.Keys(t.named))
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// fromTemplate keeps one Target for each address, however many ask at once.
func (t *Targets) fromTemplate(address string) *backend.Target {
	if target, ok := t.unnamed.Get(address); ok {
		return target
	}
	target := *t.template
	target.Name, target.Addresses = address, []string{address}
	if earlier, ok, _ := t.unnamed.PeekOrAdd(address, &target); ok {
		return earlier
	}
	return &target
}
