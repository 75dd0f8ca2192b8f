package exits

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

const (
	bigMessage   = 1 << 20 // bytes of a message that a client which stops reading can't have received whole
	examineLimit = 20 * time.Second
	unreadWindow = 32 << 10
	sizesOf      = 1000 // messages, the last ones of a mailbox
)

// examination is one session that finds out what a server can do.
type examination struct {
	*client
	server       string // for people
	capabilities []string
}

// examine logs in to the server once, and with a wrong password once if a cell does so. What it finds out is what can
// be run. An error is a sentence on why nothing can.
func (o *runOptions) examine(ctx context.Context, server string, cells []cell) (backendFacts, error) {
	x := &examination{client: o.newClient(1), server: server}
	x.limit = o.patience
	facts := backendFacts{mail: mailbox{name: o.mailbox, window: unreadWindow}, lacks: map[string]string{}}
	if err := x.open(ctx); err != nil {
		return facts, rig.WrongInput(cmp.Or(ctx.Err(), err))
	}
	defer x.closeAfter(ctx)()
	facts.addr = x.conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	facts.addr = netip.AddrPortFrom(facts.addr.Addr().Unmap(), facts.addr.Port())
	err := x.inside(&facts)
	err = errors.Join(err, x.conn.Close())
	if err == nil && slices.ContainsFunc(cells, func(c cell) bool { return endingOf(c).password != "" }) {
		err = o.tryWrongPassword(ctx, &facts, server)
	}
	return facts, rig.WrongInput(cmp.Or(ctx.Err(), err))
}

// open connects and reads the greeting.
func (x *examination) open(ctx context.Context) error {
	dial := func(d *net.Dialer, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
	if err := x.connect(dial, x.server, netip.Addr{}, false); err != nil {
		return fmt.Errorf("the server %s can't be reached: %w", x.server, err)
	}
	defer x.closeAfter(ctx)()
	line, err := x.line(x.limit)
	switch {
	case rig.IsTimeout(err):
		err = fmt.Errorf("the server %s says nothing for %v: want the greeting of an IMAP server, in clear; "+
			"is it a port with TLS?", x.server, x.limit)
	case err != nil:
		err = fmt.Errorf("the server %s ends the connection before a greeting: %w", x.server, err)
	case strings.HasPrefix(line, "* BYE"):
		err = fmt.Errorf("the server %s refuses connections: %.*q", x.server, rig.MaxForeign, line)
	case strings.HasPrefix(line, "* PREAUTH"):
		err = fmt.Errorf("the server %s greets with PREAUTH, so no client logs in there: want one that asks for a "+
			"login", x.server)
	case !strings.HasPrefix(line, "* OK"):
		err = fmt.Errorf("the server %s does not speak IMAP: it greets with %.*q", x.server, rig.MaxForeign, line)
	}
	if err != nil {
		_ = x.conn.Close()
	}
	return err
}

// inside logs in, and looks for the mailbox and a big message.
func (x *examination) inside(facts *backendFacts) error {
	if err := x.learn(); err != nil {
		return err
	}
	if slices.Contains(x.capabilities, "LOGINDISABLED") {
		return fmt.Errorf("the server %s takes no login without TLS (LOGINDISABLED), and imaprig has none: allow "+
			"plain logins from this machine", x.server)
	}
	answer, _, err := x.ask(x.loginCommand())
	if err != nil || !strings.HasPrefix(answer, "OK") {
		return x.refused("the user "+rig.Quoted(x.user), answer, err)
	}
	if err := x.learn(); err != nil {
		return err
	}
	if !slices.Contains(x.capabilities, "IDLE") {
		facts.lacks["in-idle"] = "the server has no IDLE"
	}
	answer, lines, err := x.ask("SELECT " + rig.Quoted(facts.mail.name))
	if err != nil || !strings.HasPrefix(answer, "OK") {
		return x.refused("the mailbox "+rig.Quoted(facts.mail.name), answer, err)
	}
	if facts.mail.message, err = x.largest(existing(lines)); err != nil {
		return err
	}
	if facts.mail.message == 0 {
		facts.lacks["mid-fetch"] = fmt.Sprintf("the mailbox %s has no message of %d bytes or more",
			rig.Quoted(facts.mail.name), bigMessage)
		facts.lacks["mid-fetch-small"] = facts.lacks["mid-fetch"]
		facts.lacks["unanswered"] = facts.lacks["mid-fetch"]
	}
	return nil
}

// refused returns what is said about a command that failed.
func (x *examination) refused(what, answer string, err error) error {
	switch {
	case rig.IsTimeout(err):
		return fmt.Errorf("the server %s does not answer within %v when it is asked for %s; does a service that it "+
			"needs hang?", x.server, x.limit, what)
	case err != nil:
		return fmt.Errorf("the server %s ends the connection when it is asked for %s: %w", x.server, what, err)
	}
	return fmt.Errorf("the server %s refuses %s: %.*q", x.server, what, rig.MaxForeign, answer)
}

// ask sends a command, and returns its answer with the untagged lines before it.
func (x *examination) ask(command string) (answer string, untagged []string, err error) {
	if err := x.command(command); err != nil {
		return "", nil, err
	}
	for {
		line, err := x.line(x.limit)
		if err != nil {
			return "", untagged, err
		}
		if rest, ours := strings.CutPrefix(line, x.tag()+" "); ours {
			return rest, untagged, nil
		}
		if untagged = append(untagged, line); len(untagged) > 2*sizesOf {
			return "", nil, fmt.Errorf("no answer to %.8q in %d lines", command, len(untagged))
		}
	}
}

// learn asks for the capabilities.
func (x *examination) learn() error {
	answer, lines, err := x.ask("CAPABILITY")
	if err != nil || !strings.HasPrefix(answer, "OK") {
		return x.refused("its capabilities", answer, err)
	}
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "* CAPABILITY "); ok {
			x.capabilities = strings.Fields(strings.ToUpper(rest))
		}
	}
	return nil
}

// existing returns how many messages the answer to SELECT counts.
func existing(lines []string) (n int) {
	for _, line := range lines {
		if strings.HasSuffix(line, " EXISTS") {
			_, _ = fmt.Sscanf(line, "* %d EXISTS", &n)
		}
	}
	return n
}

// largest returns the number of the largest message among the last ones, 0 where none is big.
func (x *examination) largest(messages int) (number int, err error) {
	if messages == 0 {
		return 0, nil
	}
	answer, lines, err := x.ask(fmt.Sprintf("FETCH %d:%d (RFC822.SIZE)", max(1, messages-sizesOf+1), messages))
	if err != nil || !strings.HasPrefix(answer, "OK") {
		return 0, x.refused("the sizes of messages", answer, err)
	}
	most := bigMessage - 1
	for _, line := range lines {
		var n, size int
		head, tail, _ := strings.Cut(line, "RFC822.SIZE ") // servers add other items
		_, err := fmt.Sscanf(head, "* %d FETCH", &n)
		if _, sizeErr := fmt.Sscanf(tail, "%d", &size); err == nil && sizeErr == nil && size > most {
			number, most = n, size
		}
	}
	return number, nil
}

// tryWrongPassword finds out whether the server refuses one.
func (o *runOptions) tryWrongPassword(ctx context.Context, facts *backendFacts, server string) error {
	x := &examination{client: o.newClient(1), server: server}
	x.limit, x.password = o.patience, wrongPassword
	if err := x.open(ctx); err != nil {
		return err
	}
	defer x.conn.Close()
	defer x.closeAfter(ctx)()
	answer, _, err := x.ask(x.loginCommand())
	switch {
	case errors.Is(err, io.EOF) || rig.IsReset(err):
	case err != nil:
		return x.refused("a login with a wrong password", answer, err)
	case strings.HasPrefix(answer, "OK"):
		facts.lacks["login-refused"] = "the server takes any password"
	}
	return nil
}
