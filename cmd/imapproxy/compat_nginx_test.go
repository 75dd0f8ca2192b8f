package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A file of testdata/compat holds dialogues that run against nginx and against
// the proxy with nginx's configuration converted, each of
//
//	== name
//	conf: timeout 2s;     a line of the server{} block; may be repeated
//	listen: ssl           what stands behind the address
//	auth: Auth-Status: OK | $backend    an answer of the auth server, header by header, "close" or
//	                      "hang"; STATUS LINE || in front of it replaces the usual one; repeated for each question
//	backend: greeting=... or login=..., extra=..., push=yes
//	verdict: same         or "differs because ..."; "freenginx's" is not run against nginx, which lacks it
//
// then, behind a blank line, steps. N or O in front makes one nginx's or ours
// alone; a verdict other than same needs such a step, and same may have none.
//
//	C: text, C- "text"    the client sends a line, or text quoted as in Go
//	S: text, S~ regexp    the client reads a line
//	TLS                   the client shakes hands; TLS imap with the certificate imap.crt, other with other.crt
//	EOF, EOF 1.5 3        the server closes, so many seconds after the connect at the least and the most
//	DRAIN 1.5 3           the same, whatever is said until then
//	CLOSE                 the client closes
//	A: Name: value        the last question held this header; A~ regexp; A- Name: no such header
//	A# 2                  so many questions were asked; A> 2 more than so many
//	B: user password      the backend's last login; B- for none
//	B> text               a line that the backend got behind the login
//	L~ regexp             a line of the log
//
// <b64 "text"> is base64, <x*100> a hundred times "x".
type compatDialogue struct {
	name, file string
	header     map[string][]string
	steps      []compatStep
}

type compatStep struct {
	side, verb, text string
	line             int
}

func TestCompatDialogues(t *testing.T) {
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("SKIPPED: the program nginx is missing; install it with: sudo apt-get install nginx libnginx-mod-mail")
	}
	if _, err := os.Stat(nginxMailModule); err != nil {
		t.Skip("SKIPPED: nginx's mail module is missing; install it with: sudo apt-get install libnginx-mod-mail")
	}
	files, err := filepath.Glob("testdata/compat/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	number := 0
	for _, file := range files {
		for _, d := range readCompatDialogues(t, file) {
			number++
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				d.run(t)
			})
		}
	}
	if number < 60 {
		t.Errorf("only %d dialogues", number)
	}
}

var (
	compatHeaderLine = regexp.MustCompile(`^(conf|listen|auth|backend|verdict): (.+)$`)
	compatStepLine   = regexp.MustCompile(`^(?:([NO]) )?(C:|C-|S:|S~|A:|A~|A-|A#|A>|B:|B>|B-|L~|TLS|EOF|DRAIN|CLOSE)(?: (.*))?$`)
)

func readCompatDialogues(t *testing.T, file string) []*compatDialogue {
	t.Helper()
	var all []*compatDialogue
	inHeader := false
	for i, line := range strings.Split(mustRead(t, file), "\n") {
		name, begins := strings.CutPrefix(line, "== ")
		switch {
		case strings.HasPrefix(line, "#"):
		case begins:
			all = append(all, &compatDialogue{name: name, file: file, header: map[string][]string{}})
			inHeader = true
		case line == "":
			inHeader = false
		case len(all) == 0:
			t.Fatalf("%s:%d: a dialogue begins with == name", file, i+1)
		case inHeader:
			m := compatHeaderLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s:%d: %q is no header", file, i+1, line)
			}
			d := all[len(all)-1]
			d.header[m[1]] = append(d.header[m[1]], m[2])
		default:
			m := compatStepLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s:%d: %q is no step", file, i+1, line)
			}
			d := all[len(all)-1]
			d.steps = append(d.steps, compatStep{m[1], m[2], compatExpand(t, m[3]), i + 1})
		}
	}
	return all
}

var (
	compatBase64 = regexp.MustCompile(`<b64 ("[^>]*")>`)
	compatRepeat = regexp.MustCompile(`<([^>])\*(\d+)>`)
)

func compatExpand(t *testing.T, s string) string {
	t.Helper()
	s = compatRepeat.ReplaceAllStringFunc(s, func(m string) string {
		p := compatRepeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(p[2])
		return strings.Repeat(p[1], n)
	})
	return compatBase64.ReplaceAllStringFunc(s, func(m string) string {
		text, err := strconv.Unquote(compatBase64.FindStringSubmatch(m)[1])
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		return base64.StdEncoding.EncodeToString([]byte(text))
	})
}

func (d *compatDialogue) run(t *testing.T) {
	verdict := strings.Join(d.header["verdict"], " ")
	if verdict == "freenginx's" {
		d.against(t, "O")
		return
	}
	apart := slices.ContainsFunc(d.steps, func(s compatStep) bool { return s.side != "" })
	if verdict != "same" && !strings.HasPrefix(verdict, "differs because ") || (verdict == "same") == apart {
		t.Fatalf("the verdict %q does not fit the steps", verdict)
	}
	t.Run("nginx", func(t *testing.T) { d.against(t, "N") })
	t.Run("imapproxy", func(t *testing.T) { d.against(t, "O") })
}

// against runs the dialogue against one side.
func (d *compatDialogue) against(t *testing.T, which string) {
	folder := t.TempDir()
	var answers []string
	for _, answer := range d.header["auth"] {
		answers = append(answers, compatExpand(t, answer))
	}
	if answers == nil {
		answers = []string{"Auth-Status: OK | $backend"}
	}
	b := &backendScript{}
	for _, line := range d.header["backend"] {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "greeting":
			b.greeting = value
		case "login":
			b.login = compatExpand(t, value)
		case "extra":
			b.extra = value
		case "push":
			b.push = value == "yes"
		default:
			t.Fatalf("backend: %q", line)
		}
	}
	a := &authScript{answers: answers, backend: acting(t, b.serve)}
	port := freePort(t)
	makeCertificate(t, filepath.Join(folder, "imap.crt"), filepath.Join(folder, "imap.key"), farAway)
	makeCertificate(t, filepath.Join(folder, "other.crt"), filepath.Join(folder, "other.key"), farAway)
	config := fmt.Sprintf("load_module %s;\nuser root;\ndaemon off;\nmaster_process off;\npid %s/pid;\nerror_log %s/error.log info;\nevents {}\n"+
		"mail {\n\tserver_name mail.example.org;\n\tauth_http 127.0.0.1:%d/auth;\n\tserver {\n\t\tlisten 127.0.0.1:%d %s;\n\t\tprotocol imap;\n%s\t}\n}\n",
		nginxMailModule, folder, folder, acting(t, a.serve), port, strings.Join(d.header["listen"], " "), d.serverLines(folder))
	if os.Geteuid() != 0 {
		config = strings.Replace(config, "user root;\n", "", 1)
	}
	mustWrite(t, filepath.Join(folder, "nginx.conf"), config)
	var side *compatSide
	if which == "N" {
		side = startNginx(t, folder, config, port)
	} else {
		side = startConverted(t, folder, a.backend)
	}
	side.auth, side.backend, side.folder = a, b, folder
	d.play(t, side, which)
	if log := side.log(); which == "O" && (strings.Contains(log, "secret") || strings.Contains(log, "toktok")) {
		t.Errorf("a password or token is in the log:\n%s", log)
	}
}

func (d *compatDialogue) serverLines(folder string) string {
	var b strings.Builder
	for _, line := range d.header["conf"] {
		b.WriteString("\t\t" + line + "\n")
	}
	text := b.String()
	if strings.Contains(text, "starttls") || slices.Contains(d.header["listen"], "ssl") {
		text += fmt.Sprintf("\t\tssl_certificate %s/imap.crt;\n\t\tssl_certificate_key %s/imap.key;\n", folder, folder)
	}
	return strings.ReplaceAll(text, "$folder", folder)
}

// compatClient is the client of a dialogue.
type compatClient struct {
	conn  net.Conn
	in    *bufio.Reader
	since time.Time
}

func (d *compatDialogue) play(t *testing.T, side *compatSide, which string) {
	conn, err := net.Dial("tcp", side.address)
	if err != nil {
		t.Fatal(err)
	}
	c := &compatClient{conn: conn, in: bufio.NewReader(conn), since: time.Now()}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, s := range d.steps {
		if s.side != "" && s.side != which {
			continue
		}
		if problem := c.step(t, side, s); problem != "" {
			t.Fatalf("%s:%d: %s %.200s: %s\nlog:\n%s", filepath.Base(d.file), s.line, s.verb, s.text, problem, side.log())
		}
	}
}

// step makes one step and says what is wrong with what came of it.
func (c *compatClient) step(t *testing.T, side *compatSide, s compatStep) string {
	t.Helper()
	switch s.verb {
	case "C:", "C-":
		return c.send(s)
	case "S:", "S~":
		return c.read(s)
	case "TLS":
		config := &tls.Config{InsecureSkipVerify: true}
		if s.text != "" {
			own, err := tls.LoadX509KeyPair(filepath.Join(side.folder, s.text+".crt"), filepath.Join(side.folder, s.text+".key"))
			if err != nil {
				return err.Error()
			}
			config.Certificates = []tls.Certificate{own}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
		}
		secure := tls.Client(c.conn, config)
		c.conn, c.in = secure, bufio.NewReader(secure)
		return problemOf(secure.Handshake())
	case "DRAIN":
		if _, err := io.Copy(io.Discard, c.in); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			return err.Error()
		}
		return c.eof(s.text)
	case "EOF":
		return c.eof(s.text)
	case "CLOSE":
		return problemOf(c.conn.Close())
	case "L~":
		return inTime(func() string {
			if regexp.MustCompile(s.text).MatchString(side.log()) {
				return ""
			}
			return "no such line"
		})
	}
	return inTime(func() string { return side.check(s) })
}

func (c *compatClient) send(s compatStep) string {
	text := s.text + "\r\n"
	if s.verb == "C-" {
		var err error
		if text, err = strconv.Unquote(s.text); err != nil {
			return err.Error()
		}
	}
	_, err := c.conn.Write([]byte(text))
	return problemOf(err)
}

func (c *compatClient) read(s compatStep) string {
	line, err := c.in.ReadString('\n')
	got := strings.TrimRight(line, "\r\n")
	matches := got == s.text
	if s.verb == "S~" {
		matches = regexp.MustCompile("^(?:" + s.text + ")$").MatchString(got)
	}
	if err != nil || !matches {
		return fmt.Sprintf("got %q, %v", line, err)
	}
	return ""
}

func (c *compatClient) eof(bounds string) string {
	if b, err := c.in.ReadByte(); err == nil {
		rest, _ := c.in.Peek(c.in.Buffered())
		return fmt.Sprintf("got %q", string(b)+string(rest))
	}
	least, most, bounded := strings.Cut(bounds, " ")
	if !bounded {
		return ""
	}
	from, _ := strconv.ParseFloat(least, 64)
	to, _ := strconv.ParseFloat(most, 64)
	if took := time.Since(c.since).Seconds(); took < from || took > to {
		return fmt.Sprintf("after %.2f s", took)
	}
	return ""
}

// check looks at what the auth server and the backend have got.
func (side *compatSide) check(s compatStep) string {
	asked := side.auth.questions()
	logins, said := side.backend.seen()
	last := ""
	if len(asked) > 0 {
		last = asked[len(asked)-1]
	}
	switch s.verb {
	case "A:":
		if !slices.Contains(strings.Split(last, "\r\n"), s.text) {
			return fmt.Sprintf("the question was\n%s", last)
		}
	case "A~":
		if !regexp.MustCompile(`(?m)^` + s.text + `\r$`).MatchString(last) {
			return fmt.Sprintf("the question was\n%s", last)
		}
	case "A-":
		if strings.Contains(last, "\n"+s.text+":") {
			return fmt.Sprintf("the question was\n%s", last)
		}
	case "A#":
		if strconv.Itoa(len(asked)) != s.text {
			return fmt.Sprintf("%d questions", len(asked))
		}
	case "A>":
		if n, _ := strconv.Atoi(s.text); len(asked) <= n {
			return fmt.Sprintf("%d questions", len(asked))
		}
	case "B-":
		if len(logins) > 0 {
			return fmt.Sprintf("%q", logins)
		}
	case "B:":
		if len(logins) == 0 || logins[len(logins)-1] != s.text {
			return fmt.Sprintf("%q", logins)
		}
	case "B>":
		if !slices.Contains(said, s.text) {
			return fmt.Sprintf("%q", said)
		}
	}
	return ""
}

func problemOf(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// inTime asks again for a while.
func inTime(look func() string) string {
	for range 100 {
		if problem := look(); problem == "" {
			return ""
		}
		time.Sleep(20 * time.Millisecond)
	}
	return look()
}
