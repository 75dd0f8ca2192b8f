package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// end reads the end, in order and with nothing in front of it, and closes.
func (g *guest) end() error {
	rest, err := io.ReadAll(g.in)
	if err != nil || len(rest) > 0 {
		return g.trouble("reads %q and %v, wants the end", rest, err)
	}
	_ = g.conn.Close()
	return nil
}

// cutShort reads on in the middle of a message: whatever comes is the
// message, and a reset ends it, so that nobody takes it for whole.
func (g *guest) cutShort() error { return g.cutShortBehind("") }

// cutShortBehind is cutShort where the Dovecot itself says something last.
func (g *guest) cutShortBehind(words string) error {
	rest, err := io.ReadAll(g.in)
	return g.isCut(bytes.TrimSuffix(rest, []byte(words)), err)
}

func (g *guest) isCut(rest []byte, err error) error {
	_ = g.conn.Close()
	if !bytes.HasPrefix(g.big[fetched:], rest) {
		return g.trouble("reads what is not in the message: ...%q", rest[max(0, len(rest)-200):])
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		return g.trouble("reads %d bytes and %v, wants a reset within the message", len(rest), err)
	}
	return nil
}

// wholeOrCut reads on in the middle of a message: either it is cut short, or
// it is whole and the last words stand behind its tagged OK.
func (g *guest) wholeOrCut(words string) error {
	rest, err := io.ReadAll(g.in)
	behind, whole := bytes.CutPrefix(rest, g.big[fetched:])
	if !whole {
		return g.isCut(bytes.TrimSuffix(rest, []byte(words)), err)
	}
	_ = g.conn.Close()
	if err != nil || !bytes.HasPrefix(behind, []byte(")\r\nf OK ")) || !bytes.HasSuffix(behind, []byte("\r\n"+words)) {
		return g.trouble("reads %q and %v behind the message", behind, err)
	}
	return nil
}

// finishFetch reads the rest of the message, in steps with pauses, up to the
// tagged OK.
func (g *guest) finishFetch(steps int, pause time.Duration) error {
	got := make([]byte, len(g.big)-fetched)
	for from := 0; from < len(got); {
		time.Sleep(pause)
		to := min(len(got), from+len(got)/steps+1)
		n, err := io.ReadFull(g.in, got[from:to])
		if err != nil {
			return g.trouble("%d of %d bytes came: %w", fetched+from+n, len(g.big), err)
		}
		from = to
	}
	if !bytes.Equal(got, g.big[fetched:]) {
		return g.trouble("the message is another one than was stored")
	}
	if line, err := g.in.ReadString('\n'); err != nil || line != ")\r\n" {
		return g.trouble("behind the literal it reads %q and %v", line, err)
	}
	return g.until("f OK")
}

// finishAppend sends the rest of the literal, in steps with pauses, and reads
// the tagged OK.
func (g *guest) finishAppend(steps int, pause time.Duration) error {
	rest := letter(halfLiteral)[halfLiteral/2:]
	for i := range steps {
		time.Sleep(pause)
		if err := g.send(string(rest[i*len(rest)/steps : (i+1)*len(rest)/steps])); err != nil {
			return err
		}
	}
	return g.say("", "p OK")
}

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
