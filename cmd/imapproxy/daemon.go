package main

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/timing"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/imapproxy/logging"
	"imapproxy/imapproxy"
)

// daemon is a running proxy: the server, its listening sockets, and the
// generation of the configuration that is in force.
type daemon struct {
	log     zerolog.Logger
	load    func() (*generation, *config.Report)
	current *generation
	server  *imapproxy.Server
	sockets map[string]net.Listener // by the listener's name
	serving sync.WaitGroup
	failed  chan error // a listener that ended by itself
	admin   *admin
	lines   *logging.Writer

	inherited inherited
	reopenLog func() error
}

func newDaemon(g *generation, load func() (*generation, *config.Report), log zerolog.Logger,
	lines *logging.Writer) *daemon {
	dialer := &backend.Dialer{Clock: timing.System{}}
	server := imapproxy.New(g.Settings, dialer, log)
	return &daemon{
		log: log, load: load, current: g, server: server,
		sockets: map[string]net.Listener{}, failed: make(chan error, 1), admin: newAdmin(server, log, lines),
		lines:     lines,
		reopenLog: func() error { return nil },
	}
}

// start opens every listener of the configuration, or none.
func (d *daemon) start() error {
	opened, err := d.openListeners(socketSpecs(d.current.Config.Listeners), nil)
	if err != nil {
		return err
	}
	admin, err := d.admin.open(d.current.Admin)
	if err != nil {
		closeAll(opened)
		return err
	}
	d.admin.adopt(admin, d.current.Admin)
	d.adopt(opened)
	d.admin.phase.Store(phaseServing)
	for _, name := range d.inherited.closeRest() {
		d.log.Warn().Str("socket",
			name).Msg("a socket from systemd belongs to no listener, by name or by address, and is closed")
	}
	notifyReady()
	return nil
}

// warnOfDescriptors compares what the configuration allows with what the
// system does: each session takes two descriptors.
func (d *daemon) warnOfDescriptors() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	if need := 2*uint64(d.current.Settings.Limits.Sessions) + spareDescriptors; limit.Cur < need {
		d.log.Warn().Uint64("limit", limit.Cur).Uint64("needed", need).
			Msg("the limit on descriptors is too low for limits.sessions: raise it (LimitNOFILE, ulimit -n) or " +
				"lower that")
	}
}

// spareDescriptors are for listeners, the log, and questions to an auth server.
const spareDescriptors = 64

// reload puts a new generation in force for new clients. A bad one changes
// nothing. Running sessions keep theirs, whatever happens in a reload.
func (d *daemon) reload() {
	notifyReloading()
	defer notifyReady()
	var err error
	if !d.server.Guard("reload", func() { err = d.tryReload() }) {
		d.admin.reloads.note(false)
		d.log.Error().Msg("not reloaded: a fault of the proxy came in between; sessions go on, restart it when it " +
			"is convenient")
		return
	}
	d.admin.reloads.note(err == nil)
	if err != nil {
		for _, why := range config.Messages(err) {
			d.log.Error().Str(zerolog.ErrorFieldName, why).Msg("not reloaded: nothing has changed")
		}
		return
	}
	d.log.Info().Msg("reloaded; running sessions keep the settings they began with")
}

var errBadConfig = errors.New("the configuration has errors")

func (d *daemon) tryReload() error {
	fault.Point("reload.load")
	g, r := d.load()
	d.logFindings(r)
	if r.Failed() || g == nil {
		return errBadConfig
	}
	if err := d.swapListeners(g); err != nil {
		g.close()
		return err
	}
	d.current.close()
	d.current = g
	d.lines.SetLevel(g.Config.Log.Level)
	return nil
}

func (d *daemon) logFindings(r *config.Report) {
	for _, f := range r.Sorted() {
		e := d.log.Warn()
		if f.Severity == config.Error {
			e = d.log.Error()
		}
		e.Str("finding", f.String()).Msg("configuration")
	}
}

// followEvery is how often the files of certificates are looked at.
const followEvery = 10 * time.Second

// followFiles reads certificates again whose files have changed, for clients
// that connect from now on.
func (d *daemon) followFiles() {
	for _, t := range d.current.TLS {
		r := &config.Report{}
		changed := t.follow(r)
		d.logFindings(r)
		switch {
		case changed:
			d.log.Info().Str("listener", t.config.Name).Msg("certificates read again: a file has changed")
		case r.Failed():
			d.log.Error().Str("listener",
				t.config.Name).Msg("certificates not read again: those read before stay in force")
		}
	}
}

// logFlushLimit is how long the last lines of the log may take to get out.
const logFlushLimit = 2 * time.Second
