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

	// Literals are below and above the size from which imapproxy hands them to the kernel (splice), 64 KiB of what is
	// left of them. A client that breaks a large one off has sent half, so it ends in the middle of that.
	smallLiteral = 40_000  // bytes
	largeLiteral = 1 << 20 // bytes

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
	literal  bool          // in the middle of one that the client sends, where no LOGOUT may be sent
}

func allEndings() []ending {
	return []ending{
		{name: "before-login", text: "the client closes before it logs in", open: (*client).greeting, end: closeClient},
		{name: "idle", text: "a mailbox is selected; the client closes", open: openSelected, end: closeClient},
		{name: "in-idle", text: "in IDLE the client closes", open: openIdle, end: closeClient},
		{name: "mid-fetch", text: "the client closes in the middle of a large message, with unread data",
			open: openFetch, end: closeClient, slow: true},
		{name: "mid-fetch-small",
			text: "the client closes in the middle of 40,000 bytes of a message, with unread data",
			open: openSmallFetch, end: closeClient, slow: true},
		{name: "stalled-fetch", text: "the server stops in the middle of a message; the client closes after 3s",
			open: openStalledFetch, end: closeClient},
		{name: "unanswered", text: "the client says FETCH and closes in the middle of it, before a byte of the answer",
			open: openUnansweredFetch, end: closeClient},
		{name: "mid-append", text: "the client closes in the middle of a literal of APPEND, 40,000 bytes",
			open: appendHalf(smallLiteral), end: closeClient, literal: true},
		{name: "mid-append-large", text: "the client closes in the middle of a literal of APPEND, 1 MiB",
			open: appendHalf(largeLiteral), end: closeClient, literal: true},
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
			open: beginLogin, end: closeClient, wait: givesUpAfter},
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

// wholeMessage is what is fetched of the large message.
const wholeMessage = "BODY.PEEK[]"

// openFetch reads the beginning of the message, which names the user, and then no more.
func openFetch(c *client) error { return c.beginFetch(wholeMessage) }

// openSmallFetch is openFetch with a part of the message.
func openSmallFetch(c *client) error {
	return c.beginFetch(fmt.Sprintf("%s<0.%d>", wholeMessage, smallLiteral))
}

// openStalledFetch reads as much of the message as comes.
func openStalledFetch(c *client) error {
	if err := openFetch(c); err != nil {
		return err
	}
	if err := c.toEnd(givesUpAfter); !rig.IsTimeout(err) {
		return fmt.Errorf("FETCH: the server was to stop in the middle: %w", err)
	}
	return nil
}

func (c *client) beginFetch(item string) error {
	if err := openSelected(c); err != nil {
		return err
	}
	if err := c.fetch(item); err != nil {
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
	return c.fetch(wholeMessage)
}

// appendHalf returns what sends half of a literal of size bytes.
func appendHalf(size int) func(c *client) error {
	return func(c *client) error {
		if err := openSelected(c); err != nil {
			return err
		}
		if err := c.command(fmt.Sprintf("APPEND %s {%d}", rig.Quoted(c.mail.name), size)); err != nil {
			return fmt.Errorf("APPEND: %w", err)
		}
		if err := c.continuation(); err != nil {
			return fmt.Errorf("APPEND: %w", err)
		}
		return c.send(strings.Repeat("half of a message\r\n", size/2/19))
	}
}

// openUnanswered sends a login and does not wait. A proxy that passes on the backend's greeting has none yet.
func openUnanswered(c *client) error {
	if _, err := c.line(time.Second); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("greeting: %w", err)
	}
	return c.command(c.loginCommand())
}

// beginLogin sends a login after the greeting, which must not be unread when the client closes: that would reset.
func beginLogin(c *client) error {
	if err := c.greeting(); err != nil {
		return err
	}
	if err := c.command(c.loginCommand()); err != nil {
		return fmt.Errorf("LOGIN: %w", err)
	}
	return nil
}

// openRefused returns an error when the login is accepted. NO, nginx's BAD and an end of the connection are refusals.
func openRefused(c *client) error {
	if err := beginLogin(c); err != nil {
		return err
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
