package config

import (
	"strings"
	"time"
)

// Admin is the section [admin].
type Admin struct {
	Place     Place
	Address   string `key:"address" example:"unix:/run/imapproxy/admin.sock" print:"no"`
	TokenFile Path   `key:"token_file" example:"admin.token" print:"no"`
}

// Bounds that the schema can't say, since 0 means never.
const (
	leastHeartbeat  = 30 * time.Second
	leastLeakReport = 10 * time.Second
)

func checkLimits(l *Limits, r *Report) {
	atLeast := func(key string, value, least time.Duration, text string) {
		if value > 0 && value < least {
			r.Errorf(l.Place, key, `write at least "`+text+`", or "0s" for never`, "%v is out of range", value)
		}
	}
	atLeast("idle_heartbeat", l.Heartbeat, leastHeartbeat, "30s")
	atLeast("leak_report", l.LeakReport, leastLeakReport, "10s")
	if l.LeakReclaim > 0 && l.LeakReclaim <= l.LeakReport {
		r.Errorf(l.Place, "leak_reclaim", `write more than leak_report, or "0s" for never`,
			"%v is not longer than leak_report, which is %v", l.LeakReclaim, l.LeakReport)
	}
}

// checkAdmin checks the admin listener, and makes a relative path of a socket
// one from the folder of the configuration file.
func checkAdmin(c *File, r *Report) {
	a := &c.Admin
	if strings.HasPrefix(a.Address, UnixPrefix) {
		a.Address = absoluteSocket(a.Address, a.Place)
		if a.Place.Has("token_file") {
			r.Errorf(a.Place, "token_file", "remove it: the socket's mode says who may use it",
				"not used with a Unix socket")
		}
	}
	if problem, remedy := AdminAddressProblem(a.Address); problem != "" {
		r.Errorf(a.Place, "address", remedy, "%q: %s", a.Address, problem)
		return
	}
	switch {
	case a.Address == "" && a.Place.Has("token_file"):
		r.Errorf(a.Place, "token_file", "remove it, or write address", "not used without an address")
	case a.Address != "" && !strings.HasPrefix(a.Address, UnixPrefix):
		checkAdminPort(c, r)
	}
}

// AdminAddressProblem returns what is wrong with an address and what to do, ""
// for nothing.
func AdminAddressProblem(address string) (problem, remedy string) {
	switch {
	case address == "":
		return "", ""
	case strings.HasPrefix(address, UnixPrefix):
		return unixProblem(address)
	}
	if problem := checkHostPort(address, false); problem != "" {
		return problem, "write unix:/path, or host:port such as 127.0.0.1:9143"
	}
	if !IsLoopback(address) {
		return "it can be reached from other machines", "write 127.0.0.1 or [::1] as the host, or a Unix socket"
	}
	return "", ""
}

func checkAdminPort(c *File, r *Report) {
	a := &c.Admin
	if a.TokenFile == "" {
		r.Errorf(a.Place, "token_file", "name the token's file, or write a Unix socket as the address",
			"missing, and every user of this machine can reach %s", a.Address)
	}
	for i := range c.Listeners {
		if l := &c.Listeners[i]; sameAddress(a.Address, l.Address) {
			r.Errorf(a.Place, "address", "choose another port", "%q is taken by %q of the listener %q on line %d",
				a.Address, l.Address, l.Name, l.Place.line("address"))
		}
	}
}
