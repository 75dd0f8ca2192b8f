package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
)

// mailClient is a program that people read mail with. run logs in at the
// endpoint, finds the account's canary by LIST, appends the message, gives back what it
// fetches of it, waits for new mail in IDLE if it can, and logs out.
type mailClient struct {
	name     string
	programs []string
	run      func(t *testing.T, e endpoint, a account, message []byte, subject string) []byte
}

func mailClients() []mailClient {
	return []mailClient{
		{"go-imap", nil, runGoIMAP},
		{"curl", []string{"curl"}, runCurl},
		{"imaplib", []string{"python3"}, runImaplib},
		{"mbsync", []string{"mbsync"}, runMbsync},
	}
}

func runGoIMAP(t *testing.T, e endpoint, a account, message []byte, subject string) []byte {
	arrived := make(chan uint32, 16)
	client := dial(t, e, &imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
		if data.NumMessages != nil {
			arrived <- *data.NumMessages
		}
	}})
	defer func() { _ = client.Close() }()
	try(t, "login", client.Login(a.User, a.Password).Wait())

	list, err := client.List("", "*", nil).Collect()
	try(t, "list", err)
	if len(list) != 2 || list[0].Mailbox != a.Server.canary() && list[1].Mailbox != a.Server.canary() {
		t.Errorf("LIST gives %v, want INBOX and %s", list, a.Server.canary())
	}
	_, err = client.Select("INBOX", nil).Wait()
	try(t, "select", err)
	appendMessage(t, client, message)
	fetched := fetch(t, client, subject)

	before := client.Mailbox().NumMessages
	idle, err := client.Idle()
	try(t, "idle", err)
	deliver(t, a)
	waitFor(t, arrived, before+1)
	try(t, "done", idle.Close())
	try(t, "idle", idle.Wait())
	try(t, "logout", client.Logout().Wait())
	return fetched
}

// waitFor waits until the mailbox has the number of messages.
func waitFor(t *testing.T, arrived <-chan uint32, number uint32) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case n := <-arrived:
			if n == number {
				return
			}
		case <-limit:
			t.Fatalf("IDLE shows no message %d within 30 s", number)
		}
	}
}

// runCurl makes a connection for each command. curl has no IDLE.
func runCurl(t *testing.T, e endpoint, a account, message []byte, subject string) []byte {
	file := filepath.Join(t.TempDir(), "message")
	write(t, file, 0o600, string(message))
	scheme := "imap"
	if e.Mode == tlsFirst {
		scheme = "imaps"
	}
	curl := func(path string, more ...string) []byte {
		arguments := []string{"-sS", "--max-time", "60", "--cacert", e.CAFile, "-u", a.User + ":" + a.Password,
			scheme + "://" + e.address() + path}
		if e.Mode == startTLS {
			arguments = append(arguments, "--ssl-reqd")
		}
		return output(t, nil, "curl", append(arguments, more...)...)
	}
	if list := curl("/"); !bytes.Contains(list, []byte(a.Server.canary())) {
		t.Errorf("LIST gives %q, want %s", list, a.Server.canary())
	}
	curl("/INBOX", "-T", file)
	return curl(fmt.Sprintf("/INBOX;UID=%d", directUID(t, a, subject)))
}

// runImaplib runs a script with Python's imaplib, which says when it idles.
func runImaplib(t *testing.T, e endpoint, a account, message []byte, subject string) []byte {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "message"), filepath.Join(dir, "fetched")
	write(t, in, 0o600, string(message))
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "../../testdata/e2e/imaplib_client.py")
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", e.Port), "MODE="+string(e.Mode), "CA="+e.CAFile,
		"IMAP_USER="+a.User, "IMAP_PASSWORD="+a.Password, "CANARY="+a.Server.canary(), "MESSAGE="+in, "FETCHED="+out,
		"SUBJECT="+subject)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	try(t, "python3", err)
	try(t, "python3", cmd.Start())
	var said []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		said = append(said, lines.Text())
		if lines.Text() == "idling" {
			deliver(t, a)
		}
	}
	if err := cmd.Wait(); err != nil || !slices.Equal(said, []string{"idling", "new mail", "done"}) {
		t.Fatalf("imaplib: %v; it said %q\n%s", err, said, &stderr)
	}
	fetched, err := os.ReadFile(out)
	try(t, "imaplib", err)
	return fetched
}

// runMbsync syncs a local folder with the message up, and down again into an
// empty one. mbsync keeps files with LF, and adds a header X-TUID of its own,
// another one each time. It has no IDLE.
func runMbsync(t *testing.T, e endpoint, a account, message []byte, _ string) []byte {
	up, down := t.TempDir(), t.TempDir()
	for _, dir := range []string{"INBOX/cur", "INBOX/new", "INBOX/tmp"} {
		try(t, "mkdir", os.MkdirAll(filepath.Join(up, dir), 0o700))
	}
	write(t, filepath.Join(up, "INBOX/new/1.big.localhost"), 0o600, strings.ReplaceAll(string(message), "\r\n", "\n"))
	for _, dir := range []string{up, down} {
		config := filepath.Join(dir, "config")
		write(t, config, 0o600, mbsyncConfig(e, a, dir))
		output(t, []string{"HOME=" + dir}, "mbsync", "-c", config, "-V", "all")
		if _, err := os.Stat(filepath.Join(dir, a.Server.canary())); err != nil {
			t.Errorf("mbsync has not found the mailbox %s: %v", a.Server.canary(), err)
		}
	}
	files, err := filepath.Glob(filepath.Join(down, "INBOX/*/*"))
	try(t, "glob", err)
	for _, file := range files {
		fetched, err := os.ReadFile(file)
		try(t, "mbsync", err)
		if len(fetched) > 1_000_000 {
			return bytes.ReplaceAll(fetched, []byte("\n"), []byte("\r\n"))
		}
	}
	t.Fatalf("mbsync has not brought the message down; it brought %q", files)
	return nil
}

func mbsyncConfig(e endpoint, a account, dir string) string {
	kind := map[mode]string{plain: "None", startTLS: "STARTTLS", tlsFirst: "IMAPS"}[e.Mode]
	return fmt.Sprintf(`IMAPAccount account
Host localhost
Port %d
User %s
Pass %q
SSLType %s
CertificateFile %s
Timeout 60

IMAPStore far
Account account

MaildirStore near
Path %[6]s/
Inbox %[6]s/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Near
SyncState *
`, e.Port, a.User, a.Password, kind, e.CAFile, dir)
}

// withoutTUID drops the header that mbsync adds.
func withoutTUID(message []byte) []byte {
	header, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	lines := slices.DeleteFunc(bytes.Split(header, []byte("\r\n")), func(line []byte) bool {
		return bytes.HasPrefix(line, []byte("X-TUID: "))
	})
	return slices.Concat(bytes.Join(lines, []byte("\r\n")), []byte("\r\n\r\n"), body)
}

// output runs a program for at most ten minutes and returns what it prints; it
// fails the test when the program fails.
func output(t *testing.T, env []string, program string, arguments ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, &stderr, stdout.Bytes()[:min(stdout.Len(), 2000)])
	}
	return stdout.Bytes()
}
