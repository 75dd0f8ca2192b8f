// Package rig has what the load, the matrix and the benchmark are run with: peers, servers that cost little or are at
// fault, a network namespace for clients that vanish, and what these subcommands share.
package rig

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
	peerStartLimit   = time.Minute      // a JVM on a busy machine
	peerStopLimit    = 20 * time.Second // a busy machine takes long
	peerVersionLimit = 5 * time.Second
	peerLogBytes     = 2000 // of a log that an error shows
)

// Proxy is what stands between clients and the backend during a run.
type Proxy struct {
	Name     string
	Version  string
	Settings string         // what is not its default, for the report
	PID      int            // of its first process; 0 = not known
	Addr     netip.AddrPort // where clients connect
	Outside  netip.AddrPort // where clients in the namespace connect; not valid when there is none
	Backend  netip.AddrPort // of the benchmark: which fast backend it leads to
	Literals bool           // it sends the name and the password of LOGIN as literals
	Stop     func() error
}

// Peer is how to run a proxy of a kind in a folder of its own.
type Peer struct {
	Name     string
	Programs []string                             // candidates; the first that exists is run
	Packages string                               // of Debian, for the error when it is not installed
	version  []string                             // arguments that make it print its version
	Settings string                               // what is always set, for the report
	Tuned    bool                                 // it finds peers that are gone within 30 s, where it can
	tuning   string                               // what Tuned sets, and what it can't, for the report
	literals bool                                 // it sends the name and the password of LOGIN as literals
	Prepare  func(s *PeerSetup) ([]string, error) // writes the configuration, returns the arguments
}

// PeerSetup is what a configuration needs to know.
type PeerSetup struct {
	Dir     string
	Listen  []netip.AddrPort
	tuned   bool
	backend netip.AddrPort
	closers []func() error // of what prepare has started
}

// settings returns what is set other than its defaults, in words.
func (p Peer) settings() string {
	switch {
	case !p.Tuned:
		return p.Settings
	case p.Settings == "":
		return p.tuning
	}
	return p.Settings + "; " + p.tuning
}

// Peers returns all of them, with their usual settings.
func Peers() []Peer {
	return []Peer{ImapproxyPeer(), NginxPeer(), perditionPeer(), dovecotPeer(), HAProxyPeer()}
}

// FindPeer finds it by name; own is the path of our proxy, "" for bin/imapproxy.
func FindPeer(name, own string) (Peer, error) {
	var names []string
	for _, p := range Peers() {
		if p.Name == name {
			if name == OwnProxy && own != "" {
				p.Programs = []string{own}
			}
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Peer{}, fmt.Errorf("no peer %q; there are %s", name, strings.Join(names, ", "))
}

// Program finds the executable, in the places where servers are put too.
func (p Peer) Program() (string, error) {
	for _, name := range p.Programs {
		for _, candidate := range []string{name, filepath.Join("/usr/sbin", name),
			filepath.Join("/usr/local/sbin", name)} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
	}
	return "", WrongInput(fmt.Errorf("%s: no program %s: %s", p.Name, strings.Join(p.Programs, " or "), p.Packages))
}

// lastOutput returns what the peer wrote last, wherever it writes.
func (s *PeerSetup) lastOutput(c *child) string {
	text := c.stderr.String()
	for _, name := range []string{"output", "log"} {
		if b, err := os.ReadFile(filepath.Join(s.Dir, name)); err == nil {
			text += " " + string(b[max(0, len(b)-peerLogBytes):])
		}
	}
	return strings.TrimSpace(text)
}

// ifTuned returns a part of a configuration, "" where the peer is to have its defaults.
func (s *PeerSetup) ifTuned(text string) string {
	if s.tuned {
		return text
	}
	return ""
}

// close ends what was started, and removes the folder.
func (s *PeerSetup) close() error {
	err := CloseAll(s.closers)
	s.closers = nil
	return err
}

// CloseAll calls the functions that end what was started, the last first.
func CloseAll(closers []func() error) error {
	var errs []error
	for _, f := range slices.Backward(closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// Path returns the path of a file in the folder.
func (s *PeerSetup) Path(name string) string { return filepath.Join(s.Dir, name) }

// WriteFile writes a file in the folder.
func (s *PeerSetup) WriteFile(name, text string) error {
	return os.WriteFile(s.Path(name), []byte(text), 0o600)
}

// perAddress returns a line of configuration for every address, %s.
func (s *PeerSetup) perAddress(line string) string {
	var b strings.Builder
	for _, a := range s.Listen {
		fmt.Fprintf(&b, line, a)
	}
	return b.String()
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
