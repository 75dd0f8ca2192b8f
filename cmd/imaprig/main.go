//go:build linux

// Command imaprig drives an IMAP proxy or server and reports what it does with its sockets.
//
//	imaprig exits --peer NAME   faults of a Java backend against endings of clients: which proxy leaves sockets behind
//	imaprig exhaust --peer NAME sequential sessions against a backend with a descriptor limit: how many are served
//	imaprig closewait           the same in short: what stays in CLOSE_WAIT with nginx and with imapproxy in front
//	imaprig load MODE --proxy A how fast a proxy or server is, and what that costs it
//	imaprig bench               our proxy compared with nginx and HAProxy, and with the targets
//	imaprig backend             an IMAP server that costs next to nothing, for load
//	imaprig davmail             DavMail, an IMAP server in Java, with a stand-in for Exchange
//	imaprig authserver          an auth_http service that costs next to nothing, for load
//	imaprig watch PORT...       the socket states of a server's port, with the diagnosis in words
//	imaprig help                lists the commands, and imaprig help COMMAND says more about one
//
// Exit codes: 0 fine, 1 failed or a target missed, 2 wrong usage or input. With --once, watch ends with the level of a
// monitoring plugin instead: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"imapproxy/backend/printable"
	"imapproxy/cmd/cli"
	"imapproxy/cmd/completion"
	"imapproxy/cmd/imaprig/bench"
	"imapproxy/cmd/imaprig/davmail"
	"imapproxy/cmd/imaprig/exits"
	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

// version is set by the linker for a release: -ldflags "-X main.version=1.2.3".
var version string

// command is a subcommand. run takes the arguments after its name and returns the exit code; ctx ends on SIGINT and
// SIGTERM.
type command struct {
	name    string
	args    string // its arguments in words
	summary string
	words   []string // what its first argument may be, for shells; nil for what can't be listed
	run     func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"exits", "", "run faults of a backend against endings of clients, and count what a proxy leaves", nil,
			exits.Run},
		{"exhaust", "", "run sessions against a backend with few descriptors, and count how many are served", nil,
			exits.RunExhaust},
		{"closewait", "", "show sockets in CLOSE_WAIT behind nginx, and none behind imapproxy, in half a minute", nil,
			exits.RunCloseWait},
		{"load", "MODE", "put a proxy or server under load: logins, commands, messages, sessions in IDLE",
			load.ModeNames(), load.Run},
		{"bench", "", "compare our proxy with nginx and HAProxy, and with the targets", nil, bench.Run},
		{"backend", "", "serve IMAP at next to no cost, for load tests through a proxy", nil, rig.RunBackend},
		{"davmail", "", "run DavMail, an IMAP server in Java, with a stand-in for Exchange", nil, davmail.Run},
		{"authserver", "", "speak nginx's auth_http at next to no cost, for load tests of logins", nil,
			rig.RunAuthServer},
		{"watch", "PORT...", "show the socket states of a server's port and what they mean", nil, runWatch},
		{"manual", "", "print the manual page imaprig(1)", nil, runManual},
		{"completion", "[SHELL]", "print what has a shell complete commands and flags", completion.Shells(),
			runCompletion},
		{"version", "", "print the version, the commit it was built from and Go's version", nil, runVersion},
	}
}

func findCommand(name string) (command, bool) {
	if other, known := aliases[name]; known {
		name = other
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		overview(stderr)
		return rig.ExitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return help(ctx, args[1:], stdout, stderr)
	}
	c, ok := findCommand(args[0])
	if !ok {
		return complain(stderr, noCommand(args[0]))
	}
	return c.run(ctx, args[1:], stdout, stderr)
}

// complain says what is wrong with the command line.
func complain(stderr io.Writer, text string) int {
	_, _ = fmt.Fprintln(stderr, "imaprig: "+printable.Escape(text))
	return rig.ExitUsage
}

const versionHelp = `usage: imaprig version

Prints the version, the commit it was built from and Go's version.`

func runVersion(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if err := rig.ParseFlags(rig.NewFlags("version"), args, versionHelp, stdout); err != nil {
		return rig.Failed(stderr, "version", rig.WrongInput(err))
	}
	info, _ := debug.ReadBuildInfo()
	_, _ = fmt.Fprintln(stdout, cli.VersionText("imaprig", version, info))
	return rig.ExitOK
}
