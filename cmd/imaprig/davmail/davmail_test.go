package davmail

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestDavMail runs one DavMail, since a JVM costs seconds to start.
func TestDavMail(t *testing.T) {
	program := rigtest.OwnProgram(t)
	s := startDavMail(t, Options{Messages: []int{smallMessage, largeMessage}, Wait: talkLimit})
	clean := s.afterLogout(t)
	t.Run("talk", func(t *testing.T) { compareTalk(t, s, program) })
	t.Run("lost directly", func(t *testing.T) { loseDirectly(t, s, clean) })
	t.Run("lost through the proxy", func(t *testing.T) { loseThroughProxy(t, s, program, clean) })
}

// startDavMail starts DavMail, or skips the test where it is not installed.
func startDavMail(t *testing.T, opts Options) *Server {
	t.Helper()
	rigtest.NeedDavMail(t)
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// oldJava is what a Java 7 says of DavMail.
const oldJava = `Exception in thread "main" java.lang.UnsupportedClassVersionError: davmail/DavGateway : Unsupported ` +
	`major.minor version 52.0\n\tat java.lang.ClassLoader.defineClass1(Native Method)\n\tat ` +
	`java.lang.ClassLoader.defineClass(ClassLoader.java:800)\n`

// TestStartTellsWhyNot wants one clear sentence, and nothing left.
func TestStartTellsWhyNot(t *testing.T) {
	ln, err := net.Listen("tcp", rigtest.AnyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := uint16(ln.Addr().(*net.TCPAddr).Port)
	jar := filepath.Join(t.TempDir(), "davmail.jar")
	rigtest.WriteFile(t, jar, "")
	for _, c := range []struct {
		name, java, want string // java is a program in its place, in sh; "" = there is none
		opts             Options
	}{
		{"no DavMail", "exit 0", "no /no/such.jar: apt-get install davmail-server", Options{Jar: "/no/such.jar"}},
		{"no java", "", "DavMail: no program java: apt-get install davmail-server", Options{Jar: jar}},
		{"port in use", "exit 0", fmt.Sprintf("port %d is in use", taken), Options{Jar: jar, Port: taken}},
		{"old java", "printf '" + oldJava + "' >&2; exit 1",
			"start DavMail: the java in PATH is too old for " + jar + ": apt-get install default-jre-headless",
			Options{Jar: jar}},
		{"broken", "echo Invalid or corrupt jarfile >&2; exit 1",
			"it ended at once, and said: Invalid or corrupt jarfile", Options{Jar: jar}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := t.TempDir()
			t.Setenv("PATH", path)
			if c.java != "" {
				program := []byte("#!/bin/sh\n" + c.java + "\n")
				if err := os.WriteFile(filepath.Join(path, "java"), program, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Start(t.Context(), c.opts)
			rigtest.CheckError(t, err, c.want)
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one sentence", err)
			}
		})
	}
}

// TestRunTellsWhyNot wants wrong usage to be refused in a sentence, before anything is started.
func TestRunTellsWhyNot(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, tt := range []struct{ args, want string }{
		{"--port 0", "--port 0: want 1 to 65535"},
		{"--hang logins,answers", `--hang "answers": want of connects, logins, selects, fetches, appends, others`},
		{"--hang logins", install},
	} {
		var stdout, stderr strings.Builder
		if code := Run(t.Context(), strings.Fields(tt.args), &stdout, &stderr); code != rig.ExitUsage ||
			!strings.Contains(stderr.String(), tt.want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: code %d, %s, want 2 and %q", tt.args, code, stderr.String(), tt.want)
		}
	}
}
