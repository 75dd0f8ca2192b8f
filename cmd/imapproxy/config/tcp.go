package config

import (
	"cmp"
	"slices"
	"time"

	"imapproxy/backend/wire"
)

// TCP is the section [tcp]. Of a listener or a target it is what that has
// of its own, where 0 is not written.
type TCP struct {
	Place       Place
	Idle        time.Duration `key:"keepalive_idle" default:"60s" min:"1s" max:"2h"`
	Interval    time.Duration `key:"keepalive_interval" default:"10s" min:"1s" max:"10m"`
	Count       int           `key:"keepalive_count" default:"6" min:"1" max:"127"`
	UserTimeout time.Duration `key:"user_timeout" example:"120s" min:"1s" max:"1h" print:"no"`
}

// keepAliveKeys are those that say when the probes are over.
var keepAliveKeys = []string{"keepalive_idle", "keepalive_interval", "keepalive_count"}

// tcp are a listener's own settings.
func (l *Listener) tcp() TCP {
	return TCP{l.Place, l.KeepAliveIdle, l.KeepAliveInterval, l.KeepAliveCount, l.UserTimeout}
}

// tcp are a target's own settings.
func (t *Settings) tcp() TCP {
	return TCP{t.Place, t.KeepAliveIdle, t.KeepAliveInterval, t.KeepAliveCount, t.UserTimeout}
}

// over are the settings with the common ones where there are none of its own.
func (c TCP) over(common TCP) TCP {
	return TCP{
		c.Place, cmp.Or(c.Idle, common.Idle), cmp.Or(c.Interval, common.Interval), cmp.Or(c.Count, common.Count),
		cmp.Or(c.UserTimeout, common.UserTimeout),
	}
}

// TCPOptions are the settings of the listener's clients; common is [tcp].
func (l *Listener) TCPOptions(common TCP) wire.TCPOptions { return l.tcp().over(common).Options() }

// TCPOptions are the settings of the target's connections; common is [tcp].
func (t *Settings) TCPOptions(common TCP) wire.TCPOptions { return t.tcp().over(common).Options() }

// Options are the settings for sockets, which add what user_timeout is when
// it is not written.
func (c TCP) Options() wire.TCPOptions {
	return wire.TCPOptions{KeepAliveIdle: c.Idle, KeepAliveInterval: c.Interval, KeepAliveCount: c.Count,
		UserTimeout: c.UserTimeout}
}

// probesTake is when a peer is gone by its silence to probes.
func (c TCP) probesTake() time.Duration {
	c.UserTimeout = 0
	return c.Options().GoneAfter()
}

// goneWithin is how soon a peer that has vanished should be noticed: its
// sockets and its backend's are held until then.
const goneWithin = 5 * time.Minute

// checkTCP looks at what is written in [tcp], in listeners and in targets.
func checkTCP(c *File, r *Report) {
	warnHeld(c.TCP, r)
	for i := range c.Listeners {
		checkOwnTCP(c.Listeners[i].tcp(), c.TCP, r)
	}
	for _, t := range c.backends() {
		checkOwnTCP(t.tcp(), c.TCP, r)
	}
}

// checkOwnTCP warns where tcp.user_timeout leaves a keep-alive of its own
// without effect.
func checkOwnTCP(own, common TCP, r *Report) {
	all := own.over(common)
	warnHeld(all, r)
	if key := own.keepAliveKey(); key != "" && own.UserTimeout == 0 && common.UserTimeout > 0 &&
		all.probesTake() != common.UserTimeout {
		r.Warnf(own.Place, key, "write user_timeout here too, or remove that of [tcp]",
			"tcp.user_timeout, which is %v, holds here, not the %v that the keep-alive takes", common.UserTimeout,
			all.probesTake())
	}
}

// warnHeld warns of what is written here and holds vanished peers for long.
func warnHeld(c TCP, r *Report) {
	warn := func(key, remedy string, after time.Duration) {
		if c.Place.Has(key) && after > goneWithin {
			r.Warnf(c.Place, key, remedy,
				"a peer that has vanished is noticed only after %v; until then its sockets are held", after)
		}
	}
	warn(c.keepAliveKey(), "make keepalive_idle + keepalive_count x keepalive_interval 5m at most", c.probesTake())
	warn("user_timeout", "make it 5m at most", c.UserTimeout)
}

// keepAliveKey is the first key of the keep-alive that is written here, "" for
// none.
func (c TCP) keepAliveKey() string {
	if i := slices.IndexFunc(keepAliveKeys, c.Place.Has); i >= 0 {
		return keepAliveKeys[i]
	}
	return ""
}
