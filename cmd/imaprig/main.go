//go:build linux

// Command imaprig drives an IMAP proxy or server and reports what it does with its sockets.
//
//	imaprig exits --peer NAME   faults of a Java backend against endings of clients: which proxy leaves sockets behind
//	imaprig exhaust --peer NAME sequential sessions against a backend with a descriptor limit: how many are served
//	imaprig closewait           the same in short: what stays in CLOSE_WAIT with nginx and with imapproxy in front
//	imaprig load MODE --proxy A how fast a proxy or server is, and what that costs it
//	imaprig bench               our proxy compared with nginx and HAProxy, and with the targets
//	imaprig backend             an IMAP server that costs next to nothing, for load
//	imaprig authserver          an auth_http service that costs next to nothing, for load
//	imaprig watch PORT...       the socket states of a server's port, with the diagnosis in words
//
// Exit codes: 0 fine, 1 failed or a target missed, 2 wrong usage. With --once, watch ends with the level of a
// monitoring plugin instead: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"imapproxy/cmd/imaprig/bench"
	"imapproxy/cmd/imaprig/exits"
	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

// command is a subcommand. run takes the arguments after its name and returns the exit code; ctx ends on SIGINT and
// SIGTERM.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"exits", "run faults of a backend against endings of clients, and count what a proxy leaves",
			exits.Run},
		{"exhaust", "run sessions against a backend with few descriptors, and count how many are served",
			exits.RunExhaust},
		{"closewait", "show sockets in CLOSE_WAIT behind nginx, and none behind imapproxy, in half a minute",
			exits.RunCloseWait},
		{"load", "put a proxy or server under load: logins, commands, messages, sessions in IDLE", load.Run},
		{"bench", "compare our proxy with nginx and HAProxy, and with the targets", bench.Run},
		{"backend", "serve IMAP at next to no cost, for load tests through a proxy", rig.RunBackend},
		{"authserver", "speak nginx's auth_http at next to no cost, for load tests of logins", rig.RunAuthServer},
		{"watch", "show the socket states of a server's port and what they mean", runWatch},
		{"manual", "print the manual page imaprig(1)", runManual},
		{"completion", "print what has bash complete subcommands and flags", runCompletion},
	}
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return rig.ExitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(stdout)
		return rig.ExitOK
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return c.run(ctx, args[1:], stdout, stderr)
	}
	fmt.Fprintf(stderr, "imaprig: no subcommand %q\n", args[0])
	usage(stderr)
	return rig.ExitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: imaprig SUBCOMMAND [flags] [arguments]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nimaprig SUBCOMMAND --help shows its flags\n")
}
