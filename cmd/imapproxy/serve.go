package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func serveCommand() command {
	return command{
		name:    "serve",
		summary: "runs the proxy in the foreground",
		details: `
SIGHUP reads the configuration, users, maps and certificates again; running
sessions keep theirs, and a bad configuration changes nothing. SIGTERM and
SIGINT drain: the listeners are closed at once, each client reads BYE at a safe
point, what is left is cut after limits.drain_timeout; a second one cuts now.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			file := configFlag(fs)
			return func(p *program, _ []string) int { return p.serve(*file) }
		},
	}
}

func (p *program) serve(file string) int {
	armFaults()
	g, r := loadGeneration(file)
	r.print(p.stderr)
	if r.failed() {
		return exitFailed
	}
	load := func() (*generation, *report) { return loadGeneration(file) }
	return p.runDaemon(g, load, func(*daemon) {})
}

// runDaemon runs a proxy until a signal ends it; started is called once it
// listens.
func (p *program) runDaemon(g *generation, load func() (*generation, *report), started func(*daemon)) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE) // the log's reader may end; the mail goes on
	log, w := newLogger(g.Config.Log, p.stderr)
	defer func() {
		_ = w.Close(logFlushLimit) // a reader that takes nothing can't be told of it either
	}()
	d := newDaemon(g, load, log, w)
	if err := d.start(); err != nil {
		g.close()
		for line := range strings.Lines(err.Error()) {
			p.complain(strings.TrimSpace(line))
		}
		return exitFailed
	}
	d.warnOfDescriptors()
	defer func() { d.current.close() }()
	defer d.admin.stop()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go tend(ctx)
	started(d)
	return d.run(signals)
}
