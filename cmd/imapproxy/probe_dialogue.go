package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"imapproxy/auth"
	"imapproxy/imapproxy"
)

// maxProbeBytes bounds what a probe reads in all; no server sends that much before
// a mailbox is selected.
const maxProbeBytes = 256 << 10

// probeDialogue is one probe. It speaks the few lines itself, because an IMAP client
// library hides where one phase ends and the next begins.
type probeDialogue struct {
	listener *imapproxy.Listener
	address  string
	user     string
	secret   auth.Secret
	timeout  time.Duration // of all phases together, without the stay
	stay     time.Duration // in IDLE; 0 = no IDLE
	stdout   io.Writer

	conn   net.Conn
	in     *bufio.Reader
	tags   int
	phases []phase
	bye    string // the last line with BYE
}

// probeStep is one phase: what is done in it, and the note that the table has of it.
type probeStep struct {
	name string
	do   func(context.Context) (note string, err error)
}

// run goes through the phases up to the first that fails.
func (d *probeDialogue) run() error {
	defer func() {
		if d.conn != nil {
			_ = d.conn.Close()
		}
	}()
	steps := []probeStep{{"connect", d.connect}, {"TLS", d.handshake}, {"greeting", d.greeting}, {"login", d.login},
		{"NOOP", d.noop}}
	switch d.listener.TLS {
	case imapproxy.StartTLS:
		steps[1], steps[2] = steps[2], steps[1]
		steps[2].do = d.startTLS
	case imapproxy.NoTLS:
		steps = append(steps[:1], steps[2:]...)
	}
	logout := probeStep{"LOGOUT", d.logout}
	if d.stay == 0 {
		return d.within(d.timeout, append(steps, logout)...)
	}
	if err := d.within(d.timeout, steps...); err != nil {
		return err
	}
	if err := d.within(d.stay+d.timeout, probeStep{"IDLE", d.idle}); err != nil {
		return err
	}
	return d.within(d.timeout, logout)
}

// within goes through steps that have so long together.
func (d *probeDialogue) within(limit time.Duration, steps ...probeStep) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if d.conn != nil {
		if err := d.conn.SetDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
	}
	for _, step := range steps {
		start := time.Now()
		note, err := step.do(ctx)
		if err != nil {
			note = "failed: " + reasonFor(ctx, err)
		}
		d.phases = append(d.phases, phase{step.name, time.Since(start), note})
		if err != nil {
			return fmt.Errorf("%s failed: %s", step.name, reasonFor(ctx, err))
		}
	}
	return nil
}

// reasonFor puts errors into the operator's words.
func reasonFor(ctx context.Context, err error) string {
	var netErr net.Error
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return "no answer within --timeout"
	case errors.Is(err, io.EOF):
		return "the proxy closed the connection"
	case errors.Is(err, syscall.ECONNREFUSED):
		return plainNet(err).Error() + ": is imapproxy running?"
	}
	return plainNet(err).Error()
}

func (d *probeDialogue) connect(ctx context.Context) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return "", err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			_ = conn.Close()
			return "", err
		}
	}
	d.use(conn)
	return d.address, nil
}

func (d *probeDialogue) use(conn net.Conn) {
	d.conn = conn
	d.in = bufio.NewReader(io.LimitReader(conn, maxProbeBytes))
}

// handshake pins the configured certificate: a listener on a loopback address
// can't show a name that would verify.
func (d *probeDialogue) handshake(ctx context.Context) (string, error) {
	pinned := d.listener.TLSConfig.Certificates[0].Certificate[0]
	conn := tls.Client(d.conn, &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection compares the certificate itself
		NextProtos:         []string{"imap"},
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, pinned) {
				return errors.New("the proxy shows another certificate than the configuration names: send it SIGHUP " +
					"if the file is new")
			}
			return nil
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	d.use(conn)
	state := conn.ConnectionState()
	return tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite), nil
}

func (d *probeDialogue) startTLS(ctx context.Context) (string, error) {
	if _, err := d.command("STARTTLS"); err != nil {
		return "", err
	}
	if d.in.Buffered() > 0 {
		return "", errors.New("bytes came after the answer to STARTTLS")
	}
	return d.handshake(ctx)
}

func (d *probeDialogue) greeting(context.Context) (string, error) {
	line, err := d.line()
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(strings.ToUpper(line), "* OK") {
		return "", errors.New(line)
	}
	return line, nil
}

// login uses AUTHENTICATE PLAIN, which carries every character.
func (d *probeDialogue) login(context.Context) (string, error) {
	tag, err := d.send("AUTHENTICATE PLAIN")
	if err != nil {
		return "", err
	}
	if line, err := d.line(); err != nil || !strings.HasPrefix(line, "+") {
		return "", cmpErr(err, line)
	}
	answer := base64.StdEncoding.EncodeToString([]byte("\x00" + d.user + "\x00" + string(d.secret)))
	if _, err := io.WriteString(d.conn, answer+"\r\n"); err != nil {
		return "", err
	}
	return d.answer(tag)
}

func cmpErr(err error, line string) error {
	if err != nil {
		return err
	}
	return errors.New(line)
}

func (d *probeDialogue) noop(context.Context) (string, error)   { return d.command("NOOP") }
func (d *probeDialogue) logout(context.Context) (string, error) { return d.command("LOGOUT") }

func (d *probeDialogue) command(text string) (string, error) {
	tag, err := d.send(text)
	if err != nil {
		return "", err
	}
	return d.answer(tag)
}

func (d *probeDialogue) send(text string) (tag string, err error) {
	d.tags++
	tag = fmt.Sprintf("p%d", d.tags)
	_, err = io.WriteString(d.conn, tag+" "+text+"\r\n")
	return tag, err
}

// answer reads up to the tagged line and gives it without the tag; an error
// when it is not OK.
func (d *probeDialogue) answer(tag string) (string, error) {
	for {
		line, err := d.line()
		if err != nil {
			return "", err
		}
		text, ok := strings.CutPrefix(line, tag+" ")
		if !ok {
			continue // untagged
		}
		if !strings.HasPrefix(strings.ToUpper(text), "OK") {
			return "", errors.New(text)
		}
		return text, nil
	}
}

// line reads one. At the end of input it returns what the proxy has said of it.
func (d *probeDialogue) line() (string, error) {
	line, err := d.in.ReadString('\n')
	if err == io.EOF && d.bye != "" {
		return "", errors.New(d.bye)
	}
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if strings.HasPrefix(strings.ToUpper(line), "* BYE") {
		d.bye = line
	}
	return line, nil
}
