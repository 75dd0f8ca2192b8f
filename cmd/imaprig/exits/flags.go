package exits

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"imapproxy/cmd/imaprig/rig"
)

// runOptions are the flags of every subcommand that runs sessions through a proxy.
type runOptions struct {
	proxy       string // address of a proxy that runs already, "" with peers
	backendPort int    // with proxy
	self        string // our own program, "" for bin/imapproxy
	peers       nameList
	user        string
	password    string
	sessions    int
	javaSource  string
	settings    string // of peers: settingsTuned or settingsDefaults, "" for these
	serverOptions
}

// maxSessions keeps a run within the local ports of one address.
const maxSessions = 5000

// nameList is a flag of names separated by commas.
type nameList []string

// String and Set make it a flag.Value.
func (l *nameList) String() string { return strings.Join(*l, ",") }

func (l *nameList) Set(text string) error {
	*l = append(*l, rig.SplitList(text)...)
	return nil
}

func (o *runOptions) addTo(flags *flag.FlagSet, sessions int) {
	flags.StringVar(&o.proxy, "proxy", "", "`HOST:PORT` of a proxy that runs and sends every user to --backend-port")
	flags.IntVar(&o.backendPort, "backend-port", 1430, "with --proxy: the `PORT` of 127.0.0.1 where the rig's "+
		"backend listens")
	flags.Var(&o.peers, "peer", "start these proxies one after the other, `NAMES` separated by commas")
	flags.StringVar(&o.self, "self", "", "the program `FILE` of --peer imapproxy, which it implies (without it: next "+
		"to this one, or bin/imapproxy)")
	flags.StringVar(&o.user, "user", "rig%d", "log in as user `NAME`; %d in it is replaced by the number of the "+
		"session")
	flags.StringVar(&o.password, "password", "secret", "the users' `PASSWORD`; the backend accepts any except "+
		"\"wrong\"")
	flags.IntVar(&o.sessions, "sessions", sessions, fmt.Sprintf("the `NUMBER` of sessions, 1 to %d", maxSessions))
	flags.StringVar(&o.javaSource, "java-backend", "", "`FILE` of JavaBackend.java (without it: testdata/javabackend, "+
		"here or next to this program, or that of the package)")
}

// check returns an error for options that exclude each other, and adds what --self implies.
func (o *runOptions) check() error {
	if o.self != "" && !slices.Contains(o.peers, rig.OwnProxy) {
		o.peers = append(nameList{rig.OwnProxy}, o.peers...)
	}
	switch {
	case (o.proxy == "") == (len(o.peers) == 0):
		return errors.New("want one of --proxy HOST:PORT, --peer NAMES and --self FILE")
	case o.sessions < 1 || o.sessions > maxSessions:
		return fmt.Errorf("--sessions %d: want 1 to %d", o.sessions, maxSessions)
	case o.proxy != "" && (o.backendPort < 1 || o.backendPort > 65535):
		return fmt.Errorf("--backend-port %d: want 1 to 65535", o.backendPort)
	case strings.ContainsAny(o.user+o.password, "\r\n\x00"):
		return errors.New("--user and --password: want no line end and no NUL")
	}
	for _, name := range o.peers {
		if name == proxyDirect {
			continue
		}
		if _, err := rig.FindPeer(name, o.self); err != nil {
			return fmt.Errorf("%w, %s", err, proxyDirect)
		}
	}
	return nil
}

// names returns the proxies that are run, one after the other.
func (o *runOptions) names() []string {
	if o.proxy != "" {
		return []string{o.proxy}
	}
	return o.peers
}

// startJava starts the backend: where the proxy expects it, or anywhere for a peer.
func (o *runOptions) startJava(ctx context.Context, opts rig.JavaOptions) (*rig.JavaBackend, error) {
	var err error
	if opts.Source, err = rig.FindJavaSource(o.javaSource); err != nil {
		return nil, err
	}
	if opts.Port, err = o.expectedPort(); err != nil {
		return nil, err
	}
	return rig.StartJava(ctx, opts)
}

// expectedPort returns where a proxy that runs already expects the backend, or 0 for anywhere.
func (o *runOptions) expectedPort() (uint16, error) {
	if o.proxy == "" {
		return 0, nil
	}
	port := uint16(o.backendPort) // check has seen to its range
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(loopback(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, rig.WrongInput(fmt.Errorf("port %d is in use: the backend can't listen there; give another "+
			"--backend-port, and have the proxy send every user there", port))
	}
	if err != nil {
		return 0, fmt.Errorf("--backend-port: %w", err)
	}
	return port, ln.Close()
}

// resolve finds the address of host:port.
func resolve(ctx context.Context, hostport string) (netip.AddrPort, error) {
	addrs, err := rig.Resolve(ctx, hostport)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return addrs[0], nil
}
