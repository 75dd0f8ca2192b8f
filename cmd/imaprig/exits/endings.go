package exits

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

const (
	wrongPassword = "wrong"

	givesUpAfter = 3 * time.Second // of a client that gets no answer
	appendSize   = 100_000         // bytes

	// floodOf is how many CAPABILITY commands a client sends that will not read the answers, about 100 KB: more than
	// the buffers between it and the proxy hold, and less than those together with the proxy's receive buffer. So the
	// proxy can't go on writing, and the backend's FIN, after all that, has arrived.
	floodOf = 1150
)

// ending is how a client's session goes to its end. open brings it to the state in which it is ended, and end does
// that; either may be nil. All sessions of a cell are opened before the first is ended.
type ending struct {
	name string
	text string // for people
	open func(c *client) error
	end  func(c *client) error

	wait     time.Duration // between the two
	slow     bool          // the client reads less than is sent
	vanishes bool          // from a namespace; after end, no packet passes between it and the proxy
	deaf     bool          // it vanishes, and what it does in end arrives still
	byServer bool          // the backend is the one that closes, and is waited for
	password string        // instead of the right one
	backsOff bool          // a proxy may stop asking this backend; one session that reaches it shows the fault
}

func allEndings() []ending {
	return []ending{
		{name: "before-login", text: "the client closes before it logs in", open: (*client).greeting, end: closeClient},
		{name: "idle", text: "a mailbox is selected; the client closes", open: openSelected, end: closeClient},
		{name: "in-idle", text: "in IDLE the client closes", open: openIdle, end: closeClient},
		{name: "mid-fetch", text: "the client closes in the middle of a message, with unread data", open: openFetch,
			end: closeClient, slow: true},
		{name: "unanswered", text: "the client says FETCH and closes in the middle of it, before a byte of the answer",
			open: openUnansweredFetch, end: closeClient},
		{name: "mid-append", text: "the client closes in the middle of the literal of APPEND", open: openAppend,
			end: closeClient},
		{name: "rst", text: "a mailbox is selected; the client resets", open: openSelected, end: (*client).reset},
		{name: "logout", text: "the client says LOGOUT, waits 3s at most for its answer, and closes",
			open: openSelected, end: endLogout},
		{name: "half-close", text: "the client closes its side and stays", open: openSelected, end: endHalfClose},
		{name: "vanish", text: "the client vanishes: no FIN reaches the proxy", open: openSelected, vanishes: true},
		{name: "backend-closes-vanished", text: "the backend closes while the client has vanished", open: openLoggedIn,
			end: endSelect, deaf: true, vanishes: true, byServer: true},
		{name: "backend-closes-unread", text: "the backend closes while the client does not read", open: openLoggedIn,
			end: endFlood, slow: true, byServer: true},
		{name: "backend-says-bye", text: "the backend says BYE and stays; so does the client", open: openSelected,
			end: awaitBye},
		{name: "backend-resets", text: "the backend resets; the client closes when it sees that", open: openLoggedIn,
			end: endWithServer, byServer: true},
		{name: "backend-never-greets", text: "no greeting comes; the client gives up after 3s", open: openUnanswered,
			end: closeClient, wait: givesUpAfter, backsOff: true},
		{name: "mid-login", text: "the backend is judging the login; the client gives up after 3s",
			open: openUnanswered, end: closeClient, wait: givesUpAfter},
		{name: "login-refused", text: "the backend refuses the login; the client closes", open: openRefused,
			end: closeClient, password: wrongPassword},
	}
}

func openLoggedIn(c *client) error {
	if err := c.greeting(); err != nil {
		return err
	}
	return c.ok(c.loginCommand())
}

func openSelected(c *client) error {
	if err := openLoggedIn(c); err != nil {
		return err
	}
	return c.ok("SELECT " + rig.Quoted(c.mail.name))
}

func openIdle(c *client) error {
	if err := openSelected(c); err != nil {
		return err
	}
	if err := c.command("IDLE"); err != nil {
		return fmt.Errorf("IDLE: %w", err)
	}
	return c.continuation()
}

// openFetch reads the beginning of the message, which names the user, and then no more.
func openFetch(c *client) error {
	if err := openSelected(c); err != nil {
		return err
	}
	if err := c.fetch(); err != nil {
		return err
	}
	if err := c.message(); err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	head := make([]byte, fetchedAhead)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	if _, after, _ := strings.Cut(string(head), "\r\nTo: "); c.mail.named && !strings.HasPrefix(after, c.user+"\r\n") {
		return fmt.Errorf("%w: the message of %q begins with %.*q", errForeign, c.user, rig.MaxForeign, head)
	}
	return nil
}

// openUnansweredFetch sends FETCH to a backend that does not answer.
func openUnansweredFetch(c *client) error {
	if err := openSelected(c); err != nil {
		return err
	}
	return c.fetch()
}

func openAppend(c *client) error {
	if err := openSelected(c); err != nil {
		return err
	}
	if err := c.command(fmt.Sprintf("APPEND %s {%d}", rig.Quoted(c.mail.name), appendSize)); err != nil {
		return fmt.Errorf("APPEND: %w", err)
	}
	if err := c.continuation(); err != nil {
		return fmt.Errorf("APPEND: %w", err)
	}
	return c.send(strings.Repeat("half of a message\r\n", appendSize/2/19))
}

// openUnanswered sends a login and does not wait. A proxy that passes on the backend's greeting has none yet.
func openUnanswered(c *client) error {
	if _, err := c.line(time.Second); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("greeting: %w", err)
	}
	return c.command(c.loginCommand())
}

// openRefused returns an error when the login is accepted. NO, nginx's BAD and an end of the connection are refusals.
func openRefused(c *client) error {
	if err := c.greeting(); err != nil {
		return err
	}
	if err := c.command(c.loginCommand()); err != nil {
		return fmt.Errorf("LOGIN: %w", err)
	}
	answer, err := c.status(c.limit)
	switch {
	case errors.Is(err, io.EOF) || rig.IsReset(err):
		return nil
	case err != nil:
		return fmt.Errorf("LOGIN: %w", err)
	case strings.HasPrefix(answer, "OK"):
		return fmt.Errorf("LOGIN was to be refused: %.*q", rig.MaxForeign, answer)
	}
	return nil
}

func closeClient(c *client) error { return c.conn.Close() }

func endHalfClose(c *client) error { return c.conn.CloseWrite() }

// endLogout closes also where the answer does not come: a stuck backend owes it.
func endLogout(c *client) error {
	if err := c.command("LOGOUT"); err != nil {
		return fmt.Errorf("LOGOUT: %w", err)
	}
	if _, err := c.status(givesUpAfter); err != nil && !rig.IsTimeout(err) && !errors.Is(err, io.EOF) &&
		!rig.IsReset(err) {
		return fmt.Errorf("LOGOUT: %w", err)
	}
	return c.conn.Close()
}

// endSelect makes a backend that closes first do so; the client does not receive the answer.
func endSelect(c *client) error { return c.command("SELECT INBOX") }

// endFlood asks for what it does not read, then makes the backend close.
func endFlood(c *client) error {
	var commands strings.Builder
	for i := range floodOf {
		fmt.Fprintf(&commands, "f%d CAPABILITY\r\n", i)
	}
	if err := c.send(commands.String()); err != nil {
		return fmt.Errorf("CAPABILITY, pipelined: %w", err)
	}
	return c.command("SELECT INBOX")
}

// awaitBye reads the backend's BYE.
func awaitBye(c *client) error {
	line, err := c.line(c.limit)
	if err == nil && !strings.HasPrefix(line, "* BYE ") {
		err = fmt.Errorf("%.*q", rig.MaxForeign, line)
	}
	if err != nil {
		return fmt.Errorf("want BYE: %w", err)
	}
	return nil
}

func endWithServer(c *client) error {
	if err := c.command("SELECT INBOX"); err != nil {
		return fmt.Errorf("SELECT: %w", err)
	}
	return errors.Join(c.toEnd(c.limit), c.conn.Close())
}
