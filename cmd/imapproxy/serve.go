package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/imapproxy/logging"
)

func serveCommand() command {
	return command{
		name:    "serve",
		extra:   "config",
		summary: "runs the proxy in the foreground",
		signals: signalUses(),
		details: `
Listening sockets that systemd hands over are used for the listeners of the same
name (FileDescriptorName=) or address; systemd is told when the proxy is ready.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			file := configFlag(fs)
			admin := fs.String("admin", "",
				"the admin listener's `ADDRESS`, instead of the configuration's: two proxies can't share it")
			return func(p *program, _ []string) int { return p.serve(*file, *admin) }
		},
	}
}

func (p *program) serve(file, admin string) int {
	armFaults()
	reserveProcessor()
	load := func() (*generation, *config.Report) {
		return loadGeneration(file, func(c *config.File) {
			if admin != "" {
				c.Admin.Address = admin
			}
		})
	}
	g, r := load()
	r.Print(p.stderr)
	if r.Failed() {
		return exitFailed
	}
	return p.runDaemon(g, load, func(*daemon) {})
}

// runDaemon runs a proxy until a signal ends it; started is called once it
// listens.
func (p *program) runDaemon(g *generation, load func() (*generation, *config.Report), started func(*daemon)) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE) // the log's reader may end; the mail goes on
	sink, err := logging.Open(g.Config.Log, p.stderr)
	if err != nil {
		g.close()
		return p.failure("%v", err)
	}
	defer sink.Close()
	log, w := logging.NewTo(g.Config.Log, sink)
	defer func() {
		_ = w.Close(logFlushLimit) // a reader that takes nothing can't be told of it either
	}()
	d := newDaemon(g, load, log, w)
	d.server.Loops = max(1, runtime.GOMAXPROCS(0)-1) // see reserveProcessor
	d.reopenLog = sink.Reopen
	if d.inherited, err = inheritSockets(); err != nil {
		g.close()
		return p.failure("%v", err)
	}
	if err := d.start(); err != nil {
		g.close()
		return p.failure("%v", err)
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

// reserveProcessor has Go run one goroutine more than there are processors. While no such place is free, Go's
// monitor takes that of an event loop whenever the loop waits, and polls it every 20 µs. It comes before the
// configuration is loaded, some of whose bounds are the number of processors.
func reserveProcessor() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) }
