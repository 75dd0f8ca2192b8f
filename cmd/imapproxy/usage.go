package main

import (
	"flag"
	"slices"
	"strings"

	"imapproxy/cmd/cli"
)

// aliases are other words for commands, which mean nothing else.
var aliases = map[string]string{
	"--version": "version", "-version": "version", "-v": "version", "-V": "version",
	"session": "sessions", "list": "sessions", "who": "sessions", "socket": "sockets", "pools": "pool",
	"start": "serve", "run": "serve", "configtest": "check", "-t": "check", "validate": "check",
	"password": "passwd", "man": "manual",
}

// hints are commands of other programs, with what is to be typed here.
var hints = map[string]string{
	"reload":  "send the proxy SIGHUP: systemctl reload imapproxy, or kill -HUP PID",
	"restart": "systemctl restart imapproxy",
	"status":  "systemctl status imapproxy, or `imapproxy sessions`",
	"stop":    "`imapproxy drain`, or systemctl stop imapproxy",
	"quit":    "`imapproxy drain`",
	"log":     "journalctl -u imapproxy",
	"logs":    "journalctl -u imapproxy",
	"metrics": "curl them from the admin listener's /metrics",
	"test":    "`imapproxy check`, and `imapproxy probe USER` for a login",
	"login":   "`imapproxy probe USER`",
	"users":   "`imapproxy sessions` for who is logged in, `imapproxy passwd` for a line of the file of users",
}

// noCommand says that there is no such command, and which one may be meant.
func noCommand(name string) string {
	if hint := hints[name]; hint != "" {
		return "there is no command " + quote(name) + "; " + hint
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return cli.NoCommand("imapproxy", name, names)
}

// shortConfig makes --config of -c where the command has the one and not the other. Only
// what stands before "--" is a flag.
func shortConfig(fs *flag.FlagSet, args []string) []string {
	if fs.Lookup("config") == nil || fs.Lookup("c") != nil {
		return args
	}
	args = slices.Clone(args)
	for i, a := range args {
		if a == "--" {
			break
		}
		if rest, ok := strings.CutPrefix(a, "-c"); ok && (rest == "" || rest[0] == '=') {
			args[i] = "--config" + rest
		}
	}
	return args
}

// isSet reports whether a flag stands in the command line.
func isSet(fs *flag.FlagSet, name string) bool {
	set := false
	fs.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}
