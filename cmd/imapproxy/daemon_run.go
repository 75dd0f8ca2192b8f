package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"imapproxy/imapproxy"
)

// run serves until a signal ends it, and returns the exit code. HUP reloads,
// USR1 opens the log again, QUIT retires, TERM and INT drain.
func (d *daemon) run(signals <-chan os.Signal) int {
	files, alive := time.NewTicker(followEvery), time.NewTicker(watchdogEvery())
	defer files.Stop()
	defer alive.Stop()
	for {
		select {
		case <-alive.C:
			notifyAlive()
		case <-files.C:
			d.followFiles()
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				d.reload()
			case syscall.SIGUSR1:
				d.reopen()
			case syscall.SIGQUIT:
				return d.retire(signals)
			default:
				return d.drain(s, signals)
			}
		case <-d.admin.drain:
			d.log.Info().Msg("the admin listener was asked to drain")
			return d.drain(syscall.SIGTERM, signals)
		case err := <-d.failed:
			d.log.Error().Err(err).Msg("a listener ended")
			d.drain(syscall.SIGTERM, signals)
			return exitFailed
		}
	}
}

// reopen opens the log's file again.
func (d *daemon) reopen() {
	if err := d.reopenLog(); err != nil {
		d.log.Error().Err(err).Msg("the log can't be opened again: the old file goes on")
		return
	}
	d.log.Info().Msg("the log is open again")
}

// retireGrace is how long a listener still takes clients that the kernel has
// chosen it for.
const retireGrace = time.Second

// retire takes no new clients, and lets the sessions go on until they end by
// themselves; at limits.retire_timeout, or by SIGTERM, they are drained.
func (d *daemon) retire(signals <-chan os.Signal) int {
	limit := d.current.Settings.Limits.Retire
	d.log.Info().Int("sessions", d.server.Sessions()).Stringer("limit", limit).
		Msg("retiring: no new clients; the sessions go on until they end, SIGTERM drains them")
	d.admin.phase.Store(phaseDraining)
	notifyStatus("retiring")
	for key, ln := range d.sockets {
		if err := divert(ln); err != nil && d.reusesPort(listenerOf(key)) {
			d.log.Warn().Err(err).Str("listener",
				listenerOf(key)).Msg("clients can't be diverted to another process: those in the queue at the end " +
				"are refused")
		}
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	if limit > 0 {
		t := time.AfterFunc(limit, func() { stop(errRetireLimit) })
		defer t.Stop()
	}
	over := make(chan error, 1)
	go func() { over <- d.server.Retire(ctx, retireGrace) }()
	for {
		select {
		case err := <-over:
			if err == nil {
				d.serving.Wait()
				d.log.Info().Msg("ended")
				return exitOK
			}
			d.log.Info().AnErr("why", err).Msg("the sessions that are left are drained")
			return d.drain(syscall.SIGTERM, signals)
		case <-d.admin.drain:
			stop(errAskedToDrain)
		case s := <-signals:
			switch s {
			case syscall.SIGUSR1:
				d.reopen()
			case syscall.SIGTERM, syscall.SIGINT:
				stop(fmt.Errorf("signal: %v", s))
			}
		}
	}
}

var (
	errRetireLimit  = errors.New("limits.retire_timeout is over")
	errAskedToDrain = errors.New("the admin listener was asked to drain")
)

func (d *daemon) reusesPort(name string) bool {
	for i := range d.current.Config.Listeners {
		if l := &d.current.Config.Listeners[i]; l.Name == name {
			return l.ReusePort
		}
	}
	return false
}

// drain ends the sessions at safe points; another TERM or INT cuts what is left.
func (d *daemon) drain(s os.Signal, signals <-chan os.Signal) int {
	d.log.Info().Stringer("signal", s).Int("sessions", d.server.Sessions()).
		Stringer("limit", d.current.Settings.Limits.Drain).Msg("draining; the same signal again cuts")
	d.admin.phase.Store(phaseDraining)
	notifyStopping()
	ctx, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case s := <-signals:
				switch s {
				case syscall.SIGUSR1:
					d.reopen()
				case syscall.SIGTERM, syscall.SIGINT:
					cut(fmt.Errorf("a second signal: %v", s))
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	err := d.server.Drain(ctx)
	cut(nil)
	<-over
	d.serving.Wait()
	var left *imapproxy.CutError
	if errors.As(err, &left) {
		d.log.Warn().Int("sessions", left.Sessions).AnErr("why", left.Cause).Msg("sessions were cut")
	}
	d.log.Info().Msg("ended")
	return exitOK
}
