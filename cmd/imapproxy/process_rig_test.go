package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"imapproxy/backend/wire"
	"imapproxy/imapproxy"
)

// The tests in the files process_*_test.go kill clients, backends and the
// proxy, each a process of its own, and look at what is left.

// crowdUID owns the mail of a crowd. The kernel gives each user 128 inotify
// instances; with a user of its own a crowd in IDLE takes none from other
// Dovecots.
const crowdUID = 65533

// crowd is a rig for many sessions: the Dovecots let thousands in, each mode has
// users of its own, each has a big message, the only one in the mailbox "big",
// and the proxy has an admin listener.
type crowd struct {
	*rig
	Big []byte

	trust *tls.Config
}

// newCrowd makes a rig with so many users for each mode, and a big message of
// so many bytes. limits are lines for the section [limits].
func newCrowd(t *testing.T, users, big int, limits string) *crowd {
	t.Helper()
	r := &crowd{rig: newRig(t)}
	for len(r.Big) < big {
		r.Big = append(r.Big, bigMessage(fmt.Sprintf("big %d", len(r.Big)))...)
	}
	r.Big = r.Big[:big]
	r.trust = trusting(t, r.CAFile)
	for _, d := range []*dovecot{r.One, r.Two} {
		r.makeRoom(t, d, users)
	}
	r.writeMap(t, "/^a/ one\n/^b/ two\n* clear\n")
	r.configure(t, func(config string) string {
		// A guest may wait for minutes before it reads on, until the others have come.
		return config + "\n[admin]\naddress = \"unix:admin.sock\"\n" +
			"\n[tcp]\nuser_timeout = \"1h\"\n\n[limits]\n" + limits
	})
	return r
}

const crowdPassword = "secret"

// account is the n-th user of a mode. The proxy reaches the backend in the
// same mode as the client reaches the proxy.
func (r *crowd) account(m mode, n int) account {
	class, server := "c", r.One
	switch m {
	case startTLS:
		class = "a"
	case tlsFirst:
		class, server = "b", r.Two
	}
	return account{fmt.Sprintf("%s%d", class, n), crowdPassword, server}
}

// makeRoom starts a Dovecot anew, with other users and without narrow limits.
func (r *crowd) makeRoom(t *testing.T, d *dovecot, users int) {
	t.Helper()
	d.Stop()
	passwords := map[string]string{}
	for n := range users {
		for _, class := range []string{"a", "b", "c"} {
			passwords[fmt.Sprint(class, n)] = crowdPassword
		}
	}
	d.writeUsers(t, passwords)
	big := d.path("big")
	write(t, big, 0o644, string(r.Big))
	for user := range passwords {
		for _, dir := range []string{"new", "tmp", "cur"} {
			makeDir(t, filepath.Join(d.path("mail"), user, ".big", dir), crowdUID)
		}
		try(t, "the big message", os.Link(big, filepath.Join(d.path("mail"), user, ".big/cur/1.big.localhost:2,S")))
	}
	try(t, "owner of the mail", filepath.WalkDir(d.path("mail"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, crowdUID, crowdUID)
	}))
	owner := fmt.Sprintf("uid=%d gid=%[1]d", mailUID)
	if !strings.Contains(d.config(), owner) {
		t.Fatalf("no %q in the configuration of Dovecot", owner)
	}
	config := strings.Replace(d.config(), owner, fmt.Sprintf("uid=%d gid=%[1]d", crowdUID), 1)
	write(t, d.path("conf"), 0o644, config+roomyServices)
	if !d.start(t) {
		t.Fatalf("Dovecot %s does not start again:\n%s", d.Name, d.log())
	}
}

// roomyServices has a few processes hold all TLS connections and logins
// instead of one each, and lets 3,000 be logged in.
const roomyServices = `
default_client_limit = 8000
service imap-login {
  service_count = 0
  process_min_avail = 2
  process_limit = 4
}
service imap {
  process_limit = 3000
}
`

func (r *crowd) writeMap(t *testing.T, text string) {
	t.Helper()
	write(t, filepath.Join(r.folder(), "map"), 0o600, text)
}

// configure changes the configuration's text.
func (r *crowd) configure(t *testing.T, change func(string) string) {
	t.Helper()
	write(t, r.Config, 0o600, change(mustRead(t, r.Config)))
}

// serve is the rig's, with the admin listener.
func (r *crowd) serve(t *testing.T) (*process, []string) {
	t.Helper()
	return r.launch(t, r.program(t), 3)
}

// sessions are those of the proxy.
func (r *crowd) sessions() (map[visit]imapproxy.SessionInfo, error) {
	var list []imapproxy.SessionInfo
	err := r.ask(http.MethodGet, "/sessions", nil, &list)
	all := map[visit]imapproxy.SessionInfo{}
	for _, s := range list {
		all[visit{s.Client, s.Listener}] = s
	}
	return all, err
}

// kick ends a guest's session by the proxy's administrator.
func (r *crowd) kick(g *guest) error {
	all, err := r.sessions()
	if err != nil {
		return err
	}
	var answer kicked
	err = r.ask(http.MethodPost, "/kick", url.Values{"session": {all[g.visit()].ID}}, &answer)
	if err == nil && answer.Kicked != 1 {
		return g.trouble("%d sessions are kicked", answer.Kicked)
	}
	return err
}

// pids are the processes of a user's sessions.
func (d *dovecot) pids(user string) ([]string, error) {
	out, err := exec.Command("doveadm", "-c", d.path("conf"), "who", "-1", user).Output()
	if err != nil {
		return nil, fmt.Errorf("doveadm who: %w", err)
	}
	var pids []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == user {
			pids = append(pids, f[2])
		}
	}
	return pids, nil
}

// sockets lists what the kernel has of connections to the proxy's and the
// Dovecots' ports.
func (r *crowd) sockets(t *testing.T) []wire.TableEntry {
	t.Helper()
	all, err := wire.ReadTable("/proc/self/net")
	try(t, "sockets", err)
	ports := []uint16{uint16(r.PlainPort), uint16(r.TLSPort)}
	for _, d := range []*dovecot{r.One, r.Two} {
		ports = append(ports, uint16(d.PlainPort), uint16(d.TLSPort))
	}
	return slices.DeleteFunc(all, func(e wire.TableEntry) bool {
		ours := slices.Contains(ports, e.Local.Port()) || slices.Contains(ports, e.Remote.Port())
		return !ours || e.State == wire.StateListen || e.State == wire.StateTimeWait
	})
}

// settled waits until all that has been sent up has arrived: only bytes for a
// client that does not read are on their way.
func (r *crowd) settled(t *testing.T) {
	t.Helper()
	times := 0
	eventually(t, "bytes on their way up", func() (bool, string) {
		var unread []wire.TableEntry
		for _, e := range r.sockets(t) {
			port := int(e.Local.Port())
			atServer := port == r.PlainPort || port == r.TLSPort || port == r.One.PlainPort || port == r.One.TLSPort ||
				port == r.Two.PlainPort || port == r.Two.TLSPort
			if atServer && e.RecvQ > 0 {
				unread = append(unread, e)
			}
		}
		if times++; len(unread) > 0 {
			times = 0
		}
		return times == 3, fmt.Sprint(unread)
	})
}

// nothingLeft waits until no Dovecot has a session, the proxy has the
// descriptors it had before, and the kernel has no socket of either.
func (r *crowd) nothingLeft(t *testing.T, p *process, before []string) {
	t.Helper()
	r.rig.nothingLeft(t, p, before)
	r.noSockets(t)
}

func (r *crowd) noSockets(t *testing.T) {
	t.Helper()
	eventually(t, "sockets", func() (bool, string) {
		left := r.sockets(t)
		return len(left) == 0, fmt.Sprint(left)
	})
}

// ending is the line that each session leaves in the log.
type ending struct {
	Client   string
	Listener string
	User     string
	Reason   string
	Message  string

	BackendEnd string `json:"backend_end"`
}

// written is how long the log is. Ports are used again: what a guest has left
// stands after what was written when it arrived.
func (p *process) written(t *testing.T) int { return len(p.text(t)) }

// endings are the sessions' last lines in the log from a place on.
func (p *process) endings(t *testing.T, from int) []ending {
	t.Helper()
	var all []ending
	for line := range strings.Lines(p.text(t)[from:]) {
		var e ending
		if json.Unmarshal([]byte(line), &e) == nil && e.Message == "session ended" {
			all = append(all, e)
		}
	}
	return all
}

// ended waits until the log says, once, why each guest's session has ended.
func (p *process) ended(t *testing.T, from int, guests []*guest, reason func(*guest) string) {
	t.Helper()
	eventually(t, "endings in the log", func() (bool, string) {
		var wrong []string
		lines := map[visit][]ending{}
		for _, e := range p.endings(t, from) {
			v := visit{e.Client, e.Listener}
			lines[v] = append(lines[v], e)
		}
		for _, g := range guests {
			if e := lines[g.visit()]; len(e) != 1 || e[0].Reason != reason(g) || e[0].User != g.account.User {
				wrong = append(wrong, fmt.Sprintf("%v ended as %+v, want one line of %s", g, e, reason(g)))
			}
		}
		return len(wrong) == 0, strings.Join(wrong, "\n")
	})
}

// visit is a client's address and the listener: two sessions at one time may
// have the same address.
type visit struct {
	client   string
	listener string
}

func (g *guest) visit() visit {
	if g.mode == tlsFirst {
		return visit{g.addr.String(), "imaps"}
	}
	return visit{g.addr.String(), "imap"}
}

// kill ends the proxy without a chance to tidy up.
func (p *process) kill(t *testing.T) {
	t.Helper()
	try(t, "kill", p.cmd.Process.Signal(syscall.SIGKILL))
	<-p.done
}

// together runs f for 0 to n-1, sixteen at a time, and gives the errors.
func together(n int, f func(i int) error) []error {
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	next := make(chan int)
	for range 16 {
		all.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return errs
}

// no fails the test when there are errors, and shows the first of them.
func no(t *testing.T, what string, errs []error) {
	t.Helper()
	if len(errs) == 0 {
		return
	}
	var text bytes.Buffer
	for _, err := range errs[:min(len(errs), 10)] {
		fmt.Fprintf(&text, "\n%v", err)
	}
	t.Fatalf("%s: %d errors:%s", what, len(errs), &text)
}

// scaled is n, or a tenth of it with -short.
func scaled(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// endsWithTest has a program end when the test binary does, however that is.
func endsWithTest(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
