package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// demoWelcome prints who can log in, and lines to paste. It is one write: the log
// goes to the same terminal meanwhile.
func (p *program) demoWelcome(file string, d *daemon) {
	w := &strings.Builder{}
	plain, tls := d.sockets["imap"].Addr(), d.sockets["imaps"].Addr()
	_, _ = fmt.Fprintf(w, "imapproxy demo: STARTTLS on %s, TLS on %s\n\nWho can log in:\n", plain, tls)
	for _, u := range demoUsers() {
		_, _ = fmt.Fprintf(w, "  user %-6s password %-11s whose mail is on backend %s\n", u.name, u.password, u.backend)
	}
	ca, config, self := quoteForShell(filepath.Join(filepath.Dir(file), "cert.pem")), quoteForShell(file), os.Args[0]
	_, _ = fmt.Fprintf(w, `
Paste into another terminal%[6]s:
  curl --cacert %[1]s --user alice:wonderland 'imaps://%[3]s/INBOX;MAILINDEX=1'
  curl --cacert %[1]s --ssl-reqd --user bob:builder 'imap://%[2]s/INBOX;MAILINDEX=1'
  printf 'a LOGIN alice wonderland\r\nb SELECT INBOX\r\nc LOGOUT\r\n' | `+
		`openssl s_client -quiet -verify_return_error -CAfile %[1]s -connect %[3]s

A client that stays for 10 minutes or until Ctrl-C, in one more terminal:
  echo wonderland | %[5]s probe alice --config %[4]s --address %[2]s --stay 10m
`, ca, plain, tls, config, quoteForShell(self), demoFolder(self))
	if d.admin.current != nil {
		_, _ = fmt.Fprintf(w, `
What the proxy has of it meanwhile, and how to end it from here:
  %[1]s sessions --config %[2]s
  %[1]s sockets --config %[2]s
  %[1]s pool --config %[2]s
  %[1]s kick --user alice --config %[2]s
`, quoteForShell(self), config)
	}
	_, _ = io.WriteString(w, demoCloseWait(self, installed("nginx")))
	_, _ = fmt.Fprintf(w, "\nThe configuration is %s. Ctrl-C ends the demo.\n", file)
	_, _ = io.WriteString(p.stdout, w.String())
}

// demoFolder says where lines that begin with a relative path are to be pasted.
func demoFolder(self string) string {
	folder, err := os.Getwd()
	if err != nil || filepath.IsAbs(self) || !strings.Contains(self, "/") {
		return ""
	}
	return ", in " + folder
}

// demoCloseWait is the part about imaprig, "" where it is not where the program is. It says how to get nginx.
func demoCloseWait(self string, nginx bool) string {
	rig := self[:strings.LastIndex(self, "/")+1] + "imaprig"
	if _, err := exec.LookPath(rig); err != nil {
		return ""
	}
	needs := ""
	if !nginx {
		needs = " and nginx, apt-get install nginx libnginx-mod-mail"
	}
	return fmt.Sprintf(`
What stays in CLOSE_WAIT on a faulty server, behind nginx and behind imapproxy; it takes 20 s%s:
  %s closewait
`, needs, quoteForShell(rig))
}

// installed reports whether a server is in PATH, or where Debian has it, which an ordinary user's PATH may lack.
func installed(server string) bool {
	for _, name := range []string{server, filepath.Join("/usr/sbin", server)} {
		if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	return false
}

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoteForShell returns a word as it is pasted into a shell.
func quoteForShell(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
