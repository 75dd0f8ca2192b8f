package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// mode is how a client protects its connection.
type mode string

const (
	plain    mode = "plain"
	startTLS mode = "starttls"
	tlsFirst mode = "tls"
)

// endpoint is where a client connects to and how.
type endpoint struct {
	Port   int // on localhost
	Mode   mode
	CAFile string
}

func (e endpoint) address() string { return fmt.Sprintf("127.0.0.1:%d", e.Port) }

// endpoints of a Dovecot itself, past the proxy.
func (d *dovecot) endpoint(m mode) endpoint {
	if m == tlsFirst {
		return endpoint{d.TLSPort, m, d.CAFile}
	}
	return endpoint{d.PlainPort, m, d.CAFile}
}

// account is a user and the Dovecot that has the user's mail.
type account struct {
	User, Password string
	Server         *dovecot
}

// bigMessage makes a message of 5 MB with CRLF at every line's end. The lines
// look like IMAP here and there: nothing in a literal may be taken for a command or
// an answer.
func bigMessage(subject string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <a@example.org>\r\nSubject: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
		subject)
	random := rand.NewChaCha8([32]byte(fmt.Appendf(nil, "%-32.32s", subject)))
	chunk := make([]byte, 54)
	for i := 0; b.Len() < 5_000_000; i++ {
		_, _ = random.Read(chunk)
		b.WriteString(base64.StdEncoding.EncodeToString(chunk))
		if i%100 == 0 {
			b.WriteString("\r\n* BYE {5}\r\na1 LOGOUT\r\nDONE\r\n+ go {1000+}")
		}
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// dial connects the go-imap client to an endpoint; handler may be nil.
func dial(t *testing.T, e endpoint, handler *imapclient.UnilateralDataHandler) *imapclient.Client {
	t.Helper()
	options := &imapclient.Options{TLSConfig: trusting(t, e.CAFile), UnilateralDataHandler: handler}
	var client *imapclient.Client
	var err error
	switch e.Mode {
	case plain:
		client, err = imapclient.DialInsecure(e.address(), options)
	case startTLS:
		client, err = imapclient.DialStartTLS(e.address(), options)
	case tlsFirst:
		client, err = imapclient.DialTLS(e.address(), options)
	}
	if err != nil {
		t.Fatalf("%s over %s: %v", e.address(), e.Mode, err)
	}
	return client
}

// direct opens the account's INBOX past the proxy and gives it to f.
func direct(t *testing.T, a account, f func(*imapclient.Client)) {
	t.Helper()
	client := dial(t, a.Server.endpoint(plain), nil)
	defer func() { _ = client.Close() }()
	try(t, "login", client.Login(a.User, a.Password).Wait())
	_, err := client.Select("INBOX", nil).Wait()
	try(t, "select", err)
	f(client)
	try(t, "logout", client.Logout().Wait())
}

func try(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// find gives the UIDs of the messages with the subject, in the mailbox that
// is selected.
func find(t *testing.T, client *imapclient.Client, subject string) []imap.UID {
	t.Helper()
	found, err := client.UIDSearch(&imap.SearchCriteria{
		Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: subject}},
	}, nil).Wait()
	try(t, "search", err)
	return found.AllUIDs()
}

// fetch reads the one message with the subject, whole.
func fetch(t *testing.T, client *imapclient.Client, subject string) []byte {
	t.Helper()
	uids := find(t, client, subject)
	if len(uids) != 1 {
		t.Fatalf("%d messages have the subject %q, want 1", len(uids), subject)
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	messages, err := client.Fetch(imap.UIDSetNum(uids[0]),
		&imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	try(t, "fetch", err)
	if len(messages) != 1 {
		t.Fatalf("fetch gives %d messages, want 1", len(messages))
	}
	return messages[0].FindBodySection(whole)
}

// directUID is the UID of the one message with the subject.
func directUID(t *testing.T, a account, subject string) imap.UID {
	t.Helper()
	var uids []imap.UID
	direct(t, a, func(client *imapclient.Client) { uids = find(t, client, subject) })
	if len(uids) != 1 {
		t.Fatalf("%d messages of %s at %s have the subject %q, want 1", len(uids), a.User, a.Server.Name, subject)
	}
	return uids[0]
}

// deliver puts a small message into the account's INBOX past the proxy.
func deliver(t *testing.T, a account) {
	t.Helper()
	direct(t, a, func(client *imapclient.Client) {
		appendMessage(t, client, []byte("Subject: new mail\r\n\r\nhello\r\n"))
	})
}

func appendMessage(t *testing.T, client *imapclient.Client, message []byte) {
	t.Helper()
	command := client.Append("INBOX", int64(len(message)), nil)
	_, err := command.Write(message)
	try(t, "append", err)
	try(t, "append", command.Close())
	_, err = command.Wait()
	try(t, "append", err)
}

// tidy deletes what a client has left, past the proxy, up to the canary.
func tidy(t *testing.T, a account) {
	t.Helper()
	direct(t, a, func(client *imapclient.Client) {
		all, err := client.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
		try(t, "search", err)
		canary := find(t, client, a.Server.canary())
		rest := slices.DeleteFunc(all.AllUIDs(), func(uid imap.UID) bool { return slices.Contains(canary, uid) })
		if len(rest) == 0 {
			return
		}
		flags := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
		try(t, "store", client.Store(imap.UIDSetNum(rest...), flags, nil).Close())
		try(t, "expunge", client.Expunge().Close())
	})
}

// sum is a message's sha256, and its length for people.
func sum(message []byte) string {
	return fmt.Sprintf("%x of %d bytes", sha256.Sum256(message), len(message))
}

// patience bounds every wait of a test; a busy machine takes its time.
const patience = time.Minute

// eventually polls until ok, and fails the test in the end with what was last
// seen.
func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	limit := time.Now().Add(patience)
	for {
		good, seen := ok()
		if good {
			return
		}
		if time.Now().After(limit) {
			t.Errorf("%s: still %s after %v", what, seen, patience)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
