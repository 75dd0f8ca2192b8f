package main

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"imapproxy/auth"
	"imapproxy/backend/printable"
	"imapproxy/cmd/imapproxy/config"
)

func probeCommand() command {
	return command{
		name:    "probe",
		args:    "USER",
		summary: "logs in through the running proxy and prints the time of each phase",
		details: `
It connects to a listener of the configuration as a mail client does: connect,
TLS, greeting, login, NOOP, LOGOUT. The listener has to show the certificate
that the configuration names, whatever name is in it. The password is asked for
on a terminal and read from the first line of standard input otherwise. With
--stay it is in IDLE before LOGOUT, as a mail client that waits for mail, and
shows whether something on the way ends silent connections. Exit code 1 when a
phase fails.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := probeOptions{}
			file := configFlag(fs)
			fs.StringVar(&o.listener, "listener", "", "the listener's `NAME`; without it the first of the file")
			fs.StringVar(&o.address, "address", "", "connect to `HOST:PORT` instead of the listener's address")
			fs.StringVar(&o.passwordFile, "password-file", "", "read the password from the first line of `FILE`")
			fs.DurationVar(&o.timeout, "timeout", time.Minute, "give up after this `TIME`")
			fs.DurationVar(&o.stay, "stay", 0, "stay in IDLE for this `TIME`, or until Ctrl-C")
			return func(p *program, args []string) int { return p.probe(*file, args[0], o) }
		},
	}
}

type probeOptions struct {
	listener     string
	address      string
	passwordFile string
	timeout      time.Duration
	stay         time.Duration
}

// maxStay is the longest --stay.
const maxStay = 24 * time.Hour

func (p *program) probe(file, user string, o probeOptions) int {
	if o.timeout <= 0 {
		return p.wrongUsage("--timeout has to be positive, such as 30s")
	}
	if o.stay < 0 || o.stay > maxStay {
		return p.wrongUsage("--stay has to be 0s to 24h")
	}
	g := p.load(file)
	if g == nil {
		return exitFailed
	}
	defer g.close()
	l, err := pickListener(g.Config.Listeners, o.listener)
	if err != nil {
		return p.wrongUsage(err.Error())
	}
	secret, err := p.probePassword(user, o.passwordFile)
	if err != nil {
		return p.failure("%v", err)
	}
	if err := auth.CheckCredentials(user, "", secret); err != nil {
		return p.failure("no login can carry this: %v", err)
	}
	address := o.address
	if address == "" {
		address = dialAddress(config.PortRange(l.Address)[0])
	}
	d := &probeDialogue{listener: g.Settings.Listeners[l.Name], address: address, user: user, secret: secret,
		timeout: o.timeout, stay: o.stay, stdout: p.stdout}
	err = d.run()
	d.table(p)
	if err != nil {
		return p.failure("probe of %s: %v", address, err)
	}
	return exitOK
}

func (p *program) probePassword(user, file string) (auth.Secret, error) {
	if file != "" {
		secret, err := passwordFile(file)
		if err != nil {
			return "", fmt.Errorf("--password-file: %w", err)
		}
		return secret, nil
	}
	return p.readPassword("Password of " + printable.Escape(user) + ": ")
}

// pickListener finds a listener by name; "" is the first.
func pickListener(all []config.Listener, name string) (*config.Listener, error) {
	names := make([]string, len(all))
	for i := range all {
		if name == "" || all[i].Name == name {
			return &all[i], nil
		}
		names[i] = all[i].Name
	}
	return nil, fmt.Errorf("there is no listener %q; there are %s", name, strings.Join(names, ", "))
}

// dialAddress is where a listener is reached from this machine.
func dialAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && addr.Is4() && addr.IsUnspecified():
		host = "127.0.0.1"
	case err == nil && addr.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// phase is one line of the table.
type phase struct {
	name string
	took time.Duration
	note string
}

// table prints the phases with their times.
func (d *probeDialogue) table(p *program) {
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	var total time.Duration
	print := func(name string, took time.Duration, note string) {
		_, _ = fmt.Fprintf(t, "%-10s\t%.1f ms\t  %s\n", name, float64(took.Microseconds())/1000, printable.Escape(note))
	}
	for _, ph := range d.phases {
		total += ph.took
		print(ph.name, ph.took, ph.note)
	}
	print("total", total, "")
	_ = t.Flush()
}
