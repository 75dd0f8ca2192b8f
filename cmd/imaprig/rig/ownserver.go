package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

const ownStopLimit = 5 * time.Second

// OwnServer is a subcommand of ours in a process of its own.
type OwnServer struct {
	Child *child
	Addrs []netip.AddrPort
}

// Stop ends the process.
func (o *OwnServer) Stop() error { return o.Child.Stop(ownStopLimit) }

// StartOwn starts a subcommand and reads where it listens. What is returned must be stopped, with an error too.
func StartOwn(name string, listeners int, args ...string) (*OwnServer, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, append([]string{name}, args...)...)
	cmd.Stdout = in
	c, err := startChild("imaprig "+name, cmd)
	if err := errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	own := &OwnServer{Child: c}
	if err := out.SetReadDeadline(time.Now().Add(peerStartLimit)); err != nil {
		return own, err
	}
	own.Addrs, err = readListening(out, listeners)
	if err != nil {
		return own, fmt.Errorf("start imaprig %s: %w: %s", name, err, c.stderr.String())
	}
	return own, nil
}

// readListening reads the lines that our servers print when they listen.
func readListening(r io.Reader, n int) (addrs []netip.AddrPort, err error) {
	lines := bufio.NewScanner(r)
	for len(addrs) < n && lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "listening" {
			return nil, fmt.Errorf("it printed %.*q", MaxForeign, lines.Text())
		}
		a, err := netip.ParseAddrPort(strings.TrimPrefix(words[2], "http://"))
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	if len(addrs) < n {
		return nil, errors.Join(errors.New("it does not say where it listens"), lines.Err())
	}
	return addrs, nil
}

// RunOwn runs a subcommand of ours in a process of its own, and waits for its end.
func RunOwn(ctx context.Context, name string, args ...string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{name}, args...)...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run imaprig %s: %w: %.*q", name, err, MaxForeign, out)
	}
	return nil
}
