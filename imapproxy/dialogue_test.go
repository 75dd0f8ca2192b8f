package imapproxy

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A dialogue file holds dialogues that run over real sockets, each of
//
//	== name
//	listener: plain      or insecure, starttls, tls; far- before it: a client that is not on loopback
//	reason: logout       what the log gives as the session's end; must be there
//	log: key=value ...   other fields of the end line; "-" for none, "_" for a space
//	logins: [authz/]user ...  what the backend sees, each with the canary as its password; none if not given
//	relayed: "bytes"     what the last backend connection gets behind its login
//	limits: login=3 ...  bad, failed or sessions
//
// then, behind a blank line, steps of
//
//	C: text     the client sends text and CRLF
//	C- "text"   the client sends text alone, in one write; quoted as in Go
//	S: text     the client reads this line
//	S~ regexp   the client reads a line that matches
//	TLS         the client shakes hands
//	HALF        the client closes its side
//	CLOSE, EOF, RST   the end: the client closes, or reads that the proxy does; the last step
//
// In texts <canary> is the password, <x*100> a hundred times "x", and
// <b64 "text"> base64.
type dialogueFile struct {
	name   string
	header map[string]string
	steps  []dialogueStep
}

type dialogueStep struct {
	verb, text string
	lineNo     int
}

func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d dialogue files found, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for _, d := range readDialogues(t, file) {
				t.Run(d.name, d.run)
			}
		})
	}
}

func readDialogues(t *testing.T, file string) []*dialogueFile {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*dialogueFile
	var d *dialogueFile
	inHeader := false
	for i, line := range strings.Split(string(text), "\n") {
		name, begins := strings.CutPrefix(line, "== ")
		switch {
		case strings.HasPrefix(line, "#"):
		case begins:
			d = &dialogueFile{name: name, header: map[string]string{"listener": "plain"}}
			all, inHeader = append(all, d), true
		case line == "":
			inHeader = false
		case d == nil:
			t.Fatalf("%s:%d: a dialogue begins with == name", file, i+1)
		case inHeader:
			key, value, found := strings.Cut(line, ": ")
			if !found || !knownHeaders[key] {
				t.Fatalf("%s:%d: %q is no header", file, i+1, line)
			}
			d.header[key] = value
		default:
			d.steps = append(d.steps, parseStep(t, line, i+1))
		}
	}
	return all
}

var knownHeaders = map[string]bool{"listener": true, "reason": true, "log": true, "logins": true, "relayed": true, "limits": true}

var stepForms = regexp.MustCompile(`^(C:|C-|S:|S~) (.*)$|^(TLS|HALF|CLOSE|EOF|RST)$`)

func parseStep(t *testing.T, line string, lineNo int) dialogueStep {
	t.Helper()
	m := stepForms.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("line %d: %q is no step", lineNo, line)
	}
	s := dialogueStep{verb: m[1] + m[3], text: expand(t, m[2]), lineNo: lineNo}
	if s.verb == "C-" {
		text, err := strconv.Unquote(s.text)
		if err != nil {
			t.Fatalf("line %d: %v", lineNo, err)
		}
		s.text = text
	}
	return s
}

var (
	macroRepeat = regexp.MustCompile(`<([^>])\*(\d+)>`)
	macroBase64 = regexp.MustCompile(`<b64 ("[^>]*")>`)
)

func expand(t *testing.T, s string) string {
	t.Helper()
	s = strings.ReplaceAll(s, "<canary>", canary)
	s = macroRepeat.ReplaceAllStringFunc(s, func(m string) string {
		p := macroRepeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(p[2])
		return strings.Repeat(p[1], n)
	})
	return macroBase64.ReplaceAllStringFunc(s, func(m string) string {
		text, err := strconv.Unquote(macroBase64.FindStringSubmatch(m)[1])
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		return base64.StdEncoding.EncodeToString([]byte(text))
	})
}

func (d *dialogueFile) run(t *testing.T) {
	if d.header["reason"] == "" || len(d.steps) == 0 {
		t.Fatal("a dialogue needs a reason and steps")
	}
	r := newRig(t, withLimits(func(l *Limits) { d.limits(t, l) }))
	c := r.connect(d.header["listener"])
	for _, s := range d.steps {
		if d.step(t, c, s); t.Failed() {
			t.Fatalf("at line %d: %s %q", s.lineNo, s.verb, shorten(s.text))
		}
	}
	d.checkLog(t, r.endsWith(c, endReason(d.header["reason"])))
	r.restful()
	d.checkBackend(t, r)
}

func shorten(s string) string { return s[:min(len(s), 200)] }

func (d *dialogueFile) limits(t *testing.T, l *Limits) {
	t.Helper()
	for _, f := range strings.Fields(d.header["limits"]) {
		key, value, _ := strings.Cut(f, "=")
		n, err := strconv.Atoi(value)
		field := map[string]*int{"bad": &l.BadCommands, "failed": &l.FailedLogins, "sessions": &l.Sessions}[key]
		if err != nil || field == nil {
			t.Fatalf("limits: %q", f)
		}
		*field = n
	}
}

func (d *dialogueFile) step(t *testing.T, c *testClient, s dialogueStep) {
	t.Helper()
	switch s.verb {
	case "C:":
		c.write(s.text + "\r\n")
	case "C-":
		c.write(s.text)
	case "S:":
		c.expect(regexp.QuoteMeta(s.text))
	case "S~":
		c.expect(s.text)
	case "TLS":
		c.handshake(clientTLS("imap"))
	case "HALF":
		c.halfClose()
	case "CLOSE":
		c.close()
	case "EOF":
		c.expectEOF()
	case "RST":
		c.expectReset()
	}
}

func (d *dialogueFile) checkLog(t *testing.T, l logLine) {
	t.Helper()
	for _, f := range strings.Fields(d.header["log"]) {
		key, want, _ := strings.Cut(f, "=")
		got := "-"
		if v, found := l[key]; found {
			got = fmt.Sprint(v)
		}
		if want = strings.ReplaceAll(want, "_", " "); strings.ReplaceAll(got, "_", " ") != want {
			t.Errorf("the log has %s=%q, want %q", key, got, want)
		}
	}
}

func (d *dialogueFile) checkBackend(t *testing.T, r *rig) {
	t.Helper()
	var seen []string
	for _, l := range r.backend.logins() {
		if l.secret != canary {
			t.Errorf("the backend gets the password %q", l.secret)
		}
		name := l.user
		if l.authz != "" {
			name = l.authz + "/" + l.user
		}
		seen = append(seen, name)
	}
	if got := strings.Join(seen, " "); got != d.header["logins"] {
		t.Errorf("the backend sees the logins %q, want %q", got, d.header["logins"])
	}
	if d.header["relayed"] == "" {
		return
	}
	want, err := strconv.Unquote(expand(t, d.header["relayed"]))
	if err != nil {
		t.Fatalf("relayed: %v", err)
	}
	conns := r.backend.all()
	if len(conns) == 0 {
		t.Fatal("relayed: there is no backend connection")
	}
	if got := conns[len(conns)-1].relayed(); got != want {
		t.Errorf("behind the login the backend gets %q, want %q", got, want)
	}
}
