package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	peerStartLimit   = 20 * time.Second
	peerStopLimit    = 5 * time.Second
	peerVersionLimit = 5 * time.Second
	peerLogBytes     = 2000 // of a log that an error shows
)

// proxy is what stands between clients and the backend during a run.
type proxy struct {
	name     string
	version  string
	settings string         // what is not its default, for the report
	pid      int            // of its first process; 0 = not known
	addr     netip.AddrPort // where clients connect
	outside  netip.AddrPort // where clients in the namespace connect; not valid when there is none
	backend  netip.AddrPort // of the benchmark: which fast backend it leads to
	stop     func() error
}

// peer is how to run a proxy of a kind in a folder of its own.
type peer struct {
	name     string
	programs []string // candidates; the first that exists is run
	packages string   // of Debian, for whoever lacks it
	version  []string // arguments that make it print its version
	settings string
	prepare  func(s *peerSetup) ([]string, error) // writes the configuration, returns the arguments
}

// peerSetup is what a configuration needs to know.
type peerSetup struct {
	dir     string
	listen  []netip.AddrPort
	backend uint16
	closers []func() error // of what prepare has started
}

func peers() []peer {
	return []peer{imapproxyPeer(), nginxPeer(), perditionPeer(), dovecotPeer(), haproxyPeer()}
}

// findPeer finds it by name; own is the path of our proxy, "" for bin/imapproxy.
func findPeer(name, own string) (peer, error) {
	var names []string
	for _, p := range peers() {
		if p.name == name {
			if name == ownProxy && own != "" {
				p.programs = []string{own}
			}
			return p, nil
		}
		names = append(names, p.name)
	}
	return peer{}, fmt.Errorf("no peer %q; there are %s", name, strings.Join(names, ", "))
}

// program finds the executable, in the places where servers are put too.
func (p peer) program() (string, error) {
	for _, name := range p.programs {
		for _, candidate := range []string{name, filepath.Join("/usr/sbin", name), filepath.Join("/usr/local/sbin", name)} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s: no program %s: %s", p.name, strings.Join(p.programs, " or "), p.packages)
}

// says is what the peer wrote last, wherever it writes.
func (s *peerSetup) says(c *child) string {
	text := c.stderr.String()
	for _, name := range []string{"output", "log"} {
		if b, err := os.ReadFile(filepath.Join(s.dir, name)); err == nil {
			text += " " + string(b[max(0, len(b)-peerLogBytes):])
		}
	}
	return strings.TrimSpace(text)
}

// close ends what was started, and removes the folder.
func (s *peerSetup) close() error {
	err := closeAll(s.closers)
	s.closers = nil
	return err
}

// closeAll calls the functions that end what was started, the last first.
func closeAll(closers []func() error) error {
	var errs []error
	for _, f := range slices.Backward(closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

func (s *peerSetup) path(name string) string { return filepath.Join(s.dir, name) }

func (s *peerSetup) write(name, text string) error {
	return os.WriteFile(s.path(name), []byte(text), 0o600)
}

// each repeats a line of configuration for every address, %s.
func (s *peerSetup) each(line string) string {
	var b strings.Builder
	for _, a := range s.listen {
		fmt.Fprintf(&b, line, a)
	}
	return b.String()
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
