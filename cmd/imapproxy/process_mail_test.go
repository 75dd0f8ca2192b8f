package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// onlyWhole checks every INBOX, as it lies on the disk: next to the canary
// there are letters, each of them whole, and as many as have been stored.
func (r *crowd) onlyWhole(t *testing.T, letters int) {
	t.Helper()
	found := 0
	for _, d := range []*dovecot{r.One, r.Two} {
		for _, folder := range []string{"cur", "new"} {
			files, err := filepath.Glob(filepath.Join(d.path("mail"), "*", folder, "*"))
			try(t, "INBOX", err)
			for _, file := range files {
				found += d.judge(t, file)
			}
		}
	}
	if found != letters {
		t.Errorf("%d letters are stored, want %d", found, letters)
	}
}

// judge gives 1 for a letter and 0 for the canary.
func (d *dovecot) judge(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	try(t, "message", err)
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	switch {
	case bytes.Contains(text, []byte("Subject: "+d.canary()+"\r\n")):
		return 0
	case bytes.Equal(text, letter(halfLiteral)):
		return 1
	case bytes.Contains(text, []byte("LOGOUT")):
		t.Errorf("%s holds a LOGOUT: ...%q", file, text[max(0, len(text)-100):])
	default:
		t.Errorf("%s holds %d bytes, want %d: a part of a message is stored", file, len(text), halfLiteral)
	}
	return 0
}

// lettersOf counts the letters that the account's Dovecot gives, whole, by IMAP.
func lettersOf(t *testing.T, a account) int {
	t.Helper()
	letters := 0
	direct(t, a, func(c *imapclient.Client) {
		var all imap.SeqSet
		all.AddRange(1, 0)
		messages, err := c.Fetch(all, &imap.FetchOptions{RFC822Size: true}).Collect()
		try(t, "fetch", err)
		for _, m := range messages {
			if m.RFC822Size == halfLiteral {
				letters++
			} else if m.RFC822Size > 200 {
				t.Errorf("INBOX of %s has a message of %d bytes, want %d", a.User, m.RFC822Size, halfLiteral)
			}
		}
	})
	return letters
}
