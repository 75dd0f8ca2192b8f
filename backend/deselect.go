package backend

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// whyNoUnselect: UNSELECT is not offered, or not known in spite of that, and that no
// mailbox is selected is not proved.
const whyNoUnselect = "no_unselect"

// errStillSelected says that a mailbox is selected, or that the contrary is not proved.
var errStillSelected = errors.New("the backend has not deselected its mailbox")

// needsMailbox is a command that changes nothing and that every backend refuses while no mailbox
// is selected (RFC 3501 section 6.4). With one it is answered OK, whether or not there is a
// message with this UID (section 6.4.8).
const needsMailbox = "UID FETCH 1 (UID)"

// deselect has the backend deselect its mailbox where it lacks UNSELECT: by a SELECT that fails,
// which expunges nothing (RFC 3501 section 6.3.1, RFC 9051 section 6.3.2). EXAMINE does the same
// and would change nothing if it succeeded. There are backends that answer NO and keep
// the mailbox, as DavMail 6.0 does, and go-imap did until 2020. So the proof is that the backend now refuses what it
// has just answered OK; everything else leaves errStillSelected or an error of the connection.
func (c *Conn) deselect() error {
	switch _, err := c.askSelected(needsMailbox); {
	case refusedBy(err) != "":
		return fmt.Errorf("%w: it refuses %s: %w", errStillSelected, needsMailbox, err)
	case err != nil:
		return err
	}
	switch _, err := c.askSelected("EXAMINE " + randomMailbox()); {
	case err == nil:
		c.pooled.keeps.Store(true) // it may make one each time
		return fmt.Errorf("%w: it has a mailbox of a random name", errStillSelected)
	case refusedBy(err) == "BAD": // not understood, so nothing was done
		return fmt.Errorf("%w: it does not take EXAMINE: %w", errStillSelected, err)
	case refusedBy(err) == "":
		return err
	}
	return c.refusesMailbox()
}

// refusesMailbox has the backend prove that no mailbox is selected: it refuses what needs one. A
// NO with a response code has another cause, such as a lack of resources.
func (c *Conn) refusesMailbox() error {
	var r *refusing
	switch news, err := c.askSelected(needsMailbox); {
	case err == nil:
		c.pooled.keeps.Store(true)
		return fmt.Errorf("%w in spite of its NO", errStillSelected)
	case !errors.As(err, &r):
		return err
	case r.Word == "NO" && r.Code != "":
		return fmt.Errorf("%w: it answers %s: %w", errStillSelected, needsMailbox, err)
	case news:
		return fmt.Errorf("%w: there is news of it", errStillSelected)
	}
	return nil
}

// randomMailbox returns a name that no mailbox has: a prefix for who reads the backend's log, and
// 130 random bits as letters and digits, which are neither a hierarchy separator nor a wildcard anywhere.
func randomMailbox() string { return "imapproxy" + rand.Text() }

// refusedBy returns the word with which a backend has refused what it was asked, NO or BAD; "" for
// no error, or another one.
func refusedBy(err error) string {
	var r *refusing
	if errors.As(err, &r) {
		return r.Word
	}
	return ""
}
