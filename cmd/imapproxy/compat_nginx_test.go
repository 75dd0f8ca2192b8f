package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/scripts/dialogue"
)

// compatFormat is that of the dialogues of testdata/compat, which run against nginx
// and against the proxy with nginx's configuration converted:
//
//	conf: timeout 2s;     a line of the server{} block; may be repeated
//	listen: ssl           what stands after the address
//	main: worker_shutdown_timeout 1s;   a line outside of mail{}
//	life: yes             each side is a process of its own, and takes signals
//	auth: Auth-Status: OK | $backend    an answer of the auth server, header by header, "close",
//	                      "cut" or "hang"; STATUS LINE || in front of it replaces the usual one;
//	                      repeated for each question
//	backend: greeting=... or literal=..., login=..., each "-" for silence or "close"; extra=..., push=yes,
//	                      delay=1s before the greeting, proxy=yes for a PROXY header in front,
//	                      simple=yes for one that hangs up at any command but LOGIN and LOGOUT,
//	                      away=yes for a backend that does not listen, at=[::1]:0 for another address
//	verdict: same         or "differs because ..."; "freenginx's" is not run against nginx, which lacks it
//
// A step of the side N is made with nginx only, one of the side O with ours only; a
// verdict other than same needs such a step, and same may have none.
//
//	C: text, C- "text"    the client sends a line, or bytes
//	S: text, S~ regexp    the client reads a line; S* 3 regexp three of them
//	TLS                   the client shakes hands; TLS imap with the certificate imap.crt, or of another name
//	EOF, EOF 1.5 3        the server closes, so many seconds after the connect at the least and the most
//	DRAIN 1.5 3           the same, whatever is said until then
//	HALF, CLOSE           the client closes its half, or all
//	SIGNAL QUIT           the process gets a signal
//	A: Name: value        the last question held this header; A~ regexp; A! Name: no such header
//	A# 2                  so many questions were asked; A> 2 more than so many
//	B: user password      the backend's last login; B! for none
//	B> text, B~ regexp    a line that the backend got after the login, or before it
//	L~ regexp             a line of the log
var compatFormat = dialogue.Format{
	Headers: []string{"conf", "listen", "main", "life", "auth", "backend", "verdict"},
	Sides:   []string{"N", "O"},
	Verbs: []string{
		"C:", "C-", "S:", "S~", "S*", "A:", "A~", "A!", "A#", "A>", "B:", "B>", "B~", "L~", "TLS", "EOF", "DRAIN",
		"SIGNAL",
	},
	Bare: []string{"B!", "HALF", "CLOSE"},
}

type compatDialogue struct {
	*dialogue.Dialogue
}

func compatDialogues(t *testing.T) []compatDialogue {
	t.Helper()
	var all []compatDialogue
	for _, d := range compatFormat.Read(t, "testdata/compat/*.txt", 5) {
		all = append(all, compatDialogue{d})
	}
	return all
}

// TestCompatRows says that each row of rows.tsv has its dialogues, and that
// there is no dialogue without a row.
func TestCompatRows(t *testing.T) {
	without := map[string]bool{}
	for _, d := range compatDialogues(t) {
		without[d.Path()] = true
	}
	all := maps.Clone(without)
	rows := 0
	for i, line := range strings.Split(strings.TrimSpace(mustRead(t, "testdata/compat/rows.tsv")), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 3 {
			t.Fatalf("rows.tsv:%d: %d columns, want section, row, dialogues", i+1, len(columns))
		}
		rows++
		for _, path := range strings.Split(columns[2], "; ") {
			if !all[path] {
				t.Errorf("rows.tsv:%d: there is no dialogue %q", i+1, path)
			}
			delete(without, path)
		}
	}
	if rows < 60 || len(without) > 0 {
		t.Errorf("%d rows; without a row: %q", rows, slices.Sorted(maps.Keys(without)))
	}
}

func TestCompatDialogues(t *testing.T) {
	notQuick(t)
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("SKIPPED: the program nginx is missing; install it with: sudo apt-get install nginx libnginx-mod-mail")
	}
	if _, err := os.Stat(nginxMailModule); err != nil {
		t.Skip("SKIPPED: nginx's mail module is missing; install it with: sudo apt-get install libnginx-mod-mail")
	}
	all := compatDialogues(t)
	for _, d := range all {
		t.Run(d.Path(), func(t *testing.T) {
			t.Parallel()
			d.run(t)
		})
	}
	if len(all) < 130 {
		t.Errorf("only %d dialogues", len(all))
	}
}

func (d compatDialogue) run(t *testing.T) {
	verdict := strings.Join(d.Headers["verdict"], " ")
	if verdict == "freenginx's" {
		d.against(t, "O")
		return
	}
	apart := slices.ContainsFunc(d.Steps, func(s dialogue.Step) bool { return s.Side != "" })
	if verdict != "same" && !strings.HasPrefix(verdict, "differs because ") || (verdict == "same") == apart {
		t.Fatalf("the verdict %q does not fit the steps", verdict)
	}
	t.Run("nginx", func(t *testing.T) { d.against(t, "N") })
	t.Run("imapproxy", func(t *testing.T) { d.against(t, "O") })
}

// against runs the dialogue against one side.
func (d compatDialogue) against(t *testing.T, which string) {
	folder := t.TempDir()
	answers := d.Headers["auth"]
	if answers == nil {
		answers = []string{"Auth-Status: OK | $backend"}
	}
	b, port := d.backend(t), freePort(t)
	a := &authScript{answers: answers, backend: freePort(t)}
	if !b.away {
		a.backend = actingAt(t, cmp.Or(b.at, "127.0.0.1:0"), b.serve)
	}
	compatCertificates(t, folder)
	life := len(d.Headers["life"]) > 0
	process := "daemon off;\nmaster_process off;"
	if life {
		process = "daemon off;\nworker_processes 1;"
	}
	config := fmt.Sprintf("load_module %s;\nuser root;\n%s\n%s\npid %s/pid;\nerror_log %s/error.log notice;\nevents "+
		"{}\n"+
		"mail {\n\terror_log %s/error.log info;\n\tserver_name mail.example.org;\n\tauth_http "+
		"127.0.0.1:%d/auth;\n\tserver {\n\t\tlisten 127.0.0.1:%d %s;\n\t\tprotocol imap;\n%s\t}\n}\n",
		nginxMailModule, process, strings.Join(d.Headers["main"], "\n"), folder, folder, folder, acting(t, a.serve),
		port, strings.Join(d.Headers["listen"], " "), d.serverLines(folder))
	if os.Geteuid() != 0 {
		config = strings.Replace(config, "user root;\n", "", 1)
	}
	mustWrite(t, filepath.Join(folder, "nginx.conf"), config)
	var side *compatSide
	switch {
	case which == "N":
		side = startNginx(t, folder, config, port)
	case life:
		side = launchConverted(t, folder, port, a.backend)
	default:
		side = startConverted(t, folder, a.backend)
	}
	side.auth, side.backend, side.folder = a, b, folder
	d.play(t, side, which)
	if log := side.log(); which == "O" && (strings.Contains(log, "secret") || strings.Contains(log, "toktok")) {
		t.Errorf("a password or token is in the log:\n%s", log)
	}
}

// backend makes the backend of the dialogue.
func (d compatDialogue) backend(t *testing.T) *backendScript {
	t.Helper()
	b := &backendScript{}
	for _, line := range d.Headers["backend"] {
		key, value, _ := strings.Cut(line, "=")
		value = strings.ReplaceAll(value, " | ", "\r\n")
		switch key {
		case "greeting":
			b.greeting = value
		case "literal":
			b.literal = value
		case "login":
			b.login = value
		case "extra":
			b.extra = value
		case "simple":
			b.simple = value == "yes"
		case "push":
			b.push = value == "yes"
		case "proxy":
			b.proxy = value == "yes"
		case "at":
			b.at = value
		case "away":
			b.away = value == "yes"
		case "delay":
			var err error
			if b.delay, err = time.ParseDuration(value); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("backend: %q", line)
		}
	}
	return b
}

func (d compatDialogue) serverLines(folder string) string {
	var b strings.Builder
	for _, line := range d.Headers["conf"] {
		b.WriteString("\t\t" + line + "\n")
	}
	text := b.String()
	if strings.Contains(text, "starttls") || slices.Contains(d.Headers["listen"], "ssl") {
		text += fmt.Sprintf("\t\tssl_certificate %s/imap.crt;\n\t\tssl_certificate_key %s/imap.key;\n", folder, folder)
	}
	return strings.ReplaceAll(text, "$folder", folder)
}
