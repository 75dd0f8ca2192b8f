package exits

import (
	"context"
	"errors"
	"time"

	"imapproxy/cmd/imaprig/davmail"
	"imapproxy/cmd/imaprig/rig"
)

const (
	davMailMessage = 2 << 20 // bytes: more than the buffers between it and a client that does not read
	davMailPolls   = time.Minute
	davMailLimit   = 5 * time.Minute // for one answer: it reads a message whole and decodes it, 20 at once
)

// davMailServer is DavMail with a stand-in for Exchange, which can hang.
type davMailServer struct {
	*davmail.Server
	found backendFacts
}

// startDavMail starts it where the proxy expects it, and logs in once.
func (o *options) startDavMail(ctx context.Context) (backend, error) {
	port, err := o.expectedPort()
	if err != nil {
		return nil, err
	}
	server, err := davmail.Start(ctx, davmail.Options{Port: port, Everywhere: true, Messages: []int{davMailMessage},
		JVM: []string{"-Xmx1g", "-Xss256k"}})
	if err != nil {
		return nil, rig.WrongInput(err)
	}
	d := &davMailServer{Server: server}
	o.patience = max(o.patience, davMailLimit) // a busy machine: its first answer needs classes compiled
	if d.found, err = o.examine(ctx, server.Addr(), o.cells); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	d.found.info = backendInfo{Kind: kindDavMail, Name: "DavMail"}
	d.found.pid, d.found.netDir, d.found.mail.named = server.PID(), ownNet, true
	d.found.limit = davMailLimit
	return d, nil
}

func (d *davMailServer) facts() backendFacts { return d.found }

// setMode lets what hangs go on hanging: it belongs to an earlier cell.
func (d *davMailServer) setMode(_ context.Context, mode string) error {
	d.Resume()
	if kind := hangingRequest(mode); kind != "" {
		d.Hang(kind)
	}
	return nil
}

// hangingRequest returns the kind of request that hangs from the beginning in a mode, "" = none.
func hangingRequest(mode string) davmail.Request {
	switch mode {
	case modeHangingConnect:
		return davmail.Connects
	case modeHangingLogin:
		return davmail.Logins
	case modeHangingFetch:
		return davmail.Fetches
	}
	return ""
}

// opened lets everything hang. In IDLE DavMail asks by itself: it is waited for.
func (d *davMailServer) opened(ctx context.Context, r *cellResult) error {
	if r.Mode != modeHanging {
		return nil
	}
	d.Hang()
	want := d.Stats().Hanging + r.Opened
	for limit := time.Now().Add(davMailPolls); r.Ending == "in-idle" && d.Stats().Hanging < want; {
		if time.Now().After(limit) {
			break // what does not ask does not hang
		}
		if err := rig.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// stats returns how many messages it has stored; it keeps no other counts.
func (d *davMailServer) stats(context.Context) (rig.JavaStats, error) {
	return rig.JavaStats{JavaCounts: rig.JavaCounts{Stored: d.Stats().Stored}}, nil
}

func (d *davMailServer) stop() error { return d.Stop() }
