package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"

	"imapproxy/cmd/imapproxy/config"
)

// inherited are the listening sockets that systemd has handed over and no
// listener has claimed yet.
type inherited []named

type named struct {
	name string // FileDescriptorName= of the socket unit
	net.Listener
}

// inheritSockets takes the sockets over (sd_listen_fds(3)); none without
// systemd.
func inheritSockets() (inherited, error) {
	all, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("the sockets from systemd: %w", err)
	}
	var list inherited
	for name, listeners := range all {
		for _, ln := range listeners {
			if ln != nil { // one that does not listen
				list = append(list, named{name, ln})
			}
		}
	}
	return list, nil
}

// take returns the socket that belongs to a listener: by its name, else by its
// address; nil when there is none.
func (in *inherited) take(s socketSpec) net.Listener {
	for _, fits := range []func(named) bool{
		func(n named) bool { return n.name == s.key },
		func(n named) bool { return sameSocket(n.Addr(), s.address) },
	} {
		for i, n := range *in {
			if fits(n) {
				*in = append((*in)[:i:i], (*in)[i+1:]...)
				return n.Listener
			}
		}
	}
	return nil
}

// closeRest closes what no listener has claimed, and names it.
func (in *inherited) closeRest() []string {
	var names []string
	for _, n := range *in {
		names = append(names, n.name+" "+n.Addr().String())
		_ = n.Close()
	}
	*in = nil
	return names
}

// sameSocket reports whether a socket listens where a listener's address says.
func sameSocket(socket net.Addr, address string) bool {
	if at, isUnix := socket.(*net.UnixAddr); isUnix {
		return address == config.UnixPrefix+at.Name
	}
	have, err := netip.ParseAddrPort(socket.String())
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != fmt.Sprint(have.Port()) {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host == "" && have.Addr().IsUnspecified()
	}
	return addr.Unmap() == have.Addr().Unmap()
}

// notify informs systemd (sd_notify(3)). Without systemd it does nothing, and a
// failure changes nothing for the mail.
func notify(state string) { _, _ = sd.SdNotify(false, state) }

func notifyReloading() { notify(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec()) }

func notifyReady()    { notify(sd.SdNotifyReady) }
func notifyStopping() { notify(sd.SdNotifyStopping) }
func notifyAlive()    { notify(sd.SdNotifyWatchdog) }

func notifyStatus(format string, args ...any) { notify("STATUS=" + fmt.Sprintf(format, args...)) }

// watchdogEvery is how often systemd wants a sign of life; half of its limit,
// and a very long time when it wants none.
func watchdogEvery() time.Duration {
	limit, err := sd.SdWatchdogEnabled(false)
	if err != nil || limit <= 0 {
		return 1 << 62
	}
	return limit / 2
}
