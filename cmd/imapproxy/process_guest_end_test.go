package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// leave logs out.
func (g *guest) leave() error {
	if err := g.send("x LOGOUT\r\n"); err != nil {
		return err
	}
	if err := g.until("* BYE"); err != nil {
		return err
	}
	if err := g.until("x OK"); err != nil {
		return err
	}
	return g.end()
}

// The ways in which a client goes.

func (g *guest) close() error { return g.conn.Close() }

func (g *guest) reset() error {
	return errors.Join(g.raw.SetLinger(0), g.raw.Close())
}

func (g *guest) halfClose() error {
	return g.conn.(interface{ CloseWrite() error }).CloseWrite()
}

// die hands the socket over to another process and kills that. The process is
// the only one that has it, so this is the death of a mail program.
func (g *guest) die() error {
	file, err := g.raw.File()
	if err != nil {
		return err
	}
	holder := exec.Command("sleep", "60")
	holder.ExtraFiles = []*os.File{file}
	err = holder.Start()
	_, _ = file.Close(), g.raw.Close()
	if err != nil {
		return err
	}
	err = holder.Process.Kill()
	_ = holder.Wait() // the signal
	return err
}

// losesBackend kills the guest's session at the Dovecot with SIGKILL.
func (g *guest) losesBackend() error {
	pids, err := g.account.Server.pids(g.account.User)
	if err != nil || len(pids) == 0 {
		return g.trouble("has no process at the Dovecot, %v", err)
	}
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// kickedByDovecot has the Dovecot end the user's sessions.
func (g *guest) kickedByDovecot() error {
	out, err := exec.Command("doveadm", "-c", g.account.Server.path("conf"), "kick", g.account.User).CombinedOutput()
	if err != nil {
		return g.trouble("doveadm kick: %w: %s", err, out)
	}
	return nil
}
