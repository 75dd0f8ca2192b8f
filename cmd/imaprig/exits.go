package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// exitsOptions are the flags of imaprig exits.
type exitsOptions struct {
	proxy       string // address of a proxy that runs already, "" with peers
	proxyPID    int
	backendPort uint16 // 0 = any
	self        string // our own program, "" for bin/imapproxy
	peers       []string
	user        string
	password    string
	sessions    int
	cells       []cell
	after       []time.Duration
	json, html  string // files
	javaSource  string
}

const exitsHelp = `usage: imaprig exits --proxy ADDR [flags]
       imaprig exits --peer NAME[,NAME...] [flags]

Runs faults of a Java backend against endings of clients, through a proxy, and counts what is left of the sockets and
descriptors: which proxy, and which backend, leaks. The backend is started by itself. With --proxy it listens on
--backend-port of 127.0.0.1, where the proxy must send every user; --peer starts a proxy (imapproxy, nginx, perdition,
dovecot, haproxy) from its Debian package, with a configuration of its own, for comparison.

Exit code: 0 every target holds, 1 one is missed or the run failed, 2 wrong usage.

`

// runExits is the subcommand.
func runExits(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseExits(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "imaprig exits: %v\n", err)
		return exitUsage
	}
	result, err := opts.run(ctx, stderr)
	if err == nil {
		err = opts.report(result, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "imaprig exits: %v\n", err)
		return exitFailed
	}
	if result.misses() > 0 {
		return exitFailed
	}
	return exitOK
}

func parseExits(args []string, stdout io.Writer) (exitsOptions, error) {
	var o exitsOptions
	var peerNames, modes, endings, after string
	var port int
	flags := flag.NewFlagSet("exits", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.proxy, "proxy", "", "`ADDR` (host:port) of a proxy that runs and sends every user to --backend-port")
	flags.IntVar(&port, "backend-port", 1430, "with --proxy: where the rig's backend listens on 127.0.0.1")
	flags.IntVar(&o.proxyPID, "proxy-pid", 0, "with --proxy: its first process, to count descriptors in it and its children")
	flags.StringVar(&peerNames, "peer", "", "start these proxies one after the other, `NAMES` separated by commas")
	flags.StringVar(&o.self, "self", "", "the program of --peer imapproxy, which it implies (default: beside this one, or bin/imapproxy)")
	flags.StringVar(&o.user, "user", "rig%d", "user name; %d is replaced by the number of the session")
	flags.StringVar(&o.password, "password", "secret", "password; the backend takes any but \"wrong\"")
	flags.IntVar(&o.sessions, "sessions", 200, "for each cell, 1 to 5000")
	flags.StringVar(&modes, "modes", "", "only these modes of the backend, separated by commas")
	flags.StringVar(&endings, "endings", "", "only these endings of the client, separated by commas")
	flags.StringVar(&after, "after", "1s,10s,30s,70s", "when to count, after the last session of a cell has ended")
	flags.StringVar(&o.json, "json", "", "write the result to this `FILE`")
	flags.StringVar(&o.html, "html", "", "write a page with table and charts to this `FILE`")
	flags.StringVar(&o.javaSource, "java-backend", "", "`FILE` of JavaBackend.java (default: testdata/javabackend, here or beside this program)")
	words, err := parseMixed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, exitsHelp)
		flags.PrintDefaults()
		fmt.Fprintf(stdout, "\n%s", cellsHelp())
	}
	if err != nil {
		return o, err
	}
	if len(words) > 0 {
		return o, fmt.Errorf("%q: want flags only; the proxy goes behind --proxy or --peer", words[0])
	}
	o.peers = splitList(peerNames)
	if o.proxy != "" {
		o.backendPort = uint16(min(max(port, 0), 65535))
	}
	if o.cells, err = chooseCells(splitList(modes), splitList(endings)); err != nil {
		return o, err
	}
	if o.after, err = parseAfter(after, latest(o.cells)); err != nil {
		return o, err
	}
	return o, o.check(port)
}

// check refuses what does not go together, and adds what --self implies.
func (o *exitsOptions) check(port int) error {
	if o.self != "" && !slices.Contains(o.peers, ownProxy) {
		o.peers = append([]string{ownProxy}, o.peers...)
	}
	switch {
	case (o.proxy == "") == (len(o.peers) == 0):
		return errors.New("want one of --proxy ADDR, --peer NAMES and --self FILE")
	case o.sessions < 1 || o.sessions > 5000:
		return fmt.Errorf("--sessions %d: want 1 to 5000", o.sessions)
	case o.proxyPID != 0 && o.proxy == "":
		return errors.New("--proxy-pid goes with --proxy: the process of a peer is known")
	case o.proxyPID < 0:
		return fmt.Errorf("--proxy-pid %d: want a process id", o.proxyPID)
	case port < 1 || port > 65535:
		return fmt.Errorf("--backend-port %d: want 1 to 65535", port)
	case strings.ContainsAny(o.user+o.password, "\r\n\x00"):
		return errors.New("--user and --password: no line end and no NUL, please")
	}
	for _, name := range o.peers {
		if _, err := findPeer(name, o.self); err != nil {
			return err
		}
	}
	return nil
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// parseAfter reads the times of the counts, of which the last must be as late as the cells are judged.
func parseAfter(text string, latest time.Duration) ([]time.Duration, error) {
	var after []time.Duration
	for _, word := range splitList(text) {
		d, err := time.ParseDuration(word)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("--after %q: want durations such as 1s,10s,30s,70s", word)
		}
		after = append(after, d)
	}
	slices.Sort(after)
	if len(after) == 0 || after[len(after)-1] < latest {
		return nil, fmt.Errorf("--after %q: the targets of these cells are judged after %v; add that time, or leave cells out", text, latest)
	}
	return after, nil
}
