package rig

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

// wantSentence checks that an error is one sentence for who has to mend this machine.
func wantSentence(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.As(err, new(inputError)) {
		t.Fatalf("error %v, want one in the setup", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want %q in it", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "Exception") {
		t.Errorf("error %v, want one sentence", err)
	}
}

func TestJavaPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := netip.MustParseAddrPort(ln.Addr().String()).Port()
	_, err = StartJava(t.Context(), JavaOptions{Source: rigtest.JavaSource(t), Port: port})
	wantSentence(t, err, fmt.Sprintf("port %d is in use", port))
}

// TestJavaUnfit runs programs in the place of java that fail as others do.
func TestJavaUnfit(t *testing.T) {
	const real8 = `#!/bin/sh
if [ "$1" = -version ]; then echo 'openjdk version "1.8.0_292"' >&2; exit 0; fi
echo 'Error: Could not find or load main class JavaBackend.java' >&2
exit 1
`
	const real11 = `#!/bin/sh
if [ "$1" = -version ]; then echo 'openjdk version "11.0.24" 2024-07-16' >&2; exit 0; fi
printf 'JavaBackend.java:90: error: illegal start of expression\nerror: compilation failed\n' >&2
exit 1
`
	const jre17 = `#!/bin/sh
if [ "$1" = -version ]; then echo 'openjdk version "17.0.12" 2024-07-16' >&2; exit 0; fi
echo 'java.lang.module.FindException: Module jdk.compiler not found' >&2
exit 1
`
	tests := []struct {
		name, program string
		want          []string
	}{
		{"none", "", []string{"no program java", "JDK of 17 or later"}},
		{"8", real8, []string{"java is of version 8", "JDK of 17 or later"}},
		{"11", real11, []string{"java is of version 11", "JDK of 17 or later"}},
		{"17 without a compiler", jre17, []string{"no compiler", "JDK of 17 or later"}},
		{"no JVM at all", "#!/bin/sh\nexit 1\n", []string{"prints no version", "JDK of 17 or later"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.program != "" {
				if err := os.WriteFile(filepath.Join(dir, "java"), []byte(tt.program), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir+":/nonexistent")
			_, err := StartJava(t.Context(), JavaOptions{Source: "JavaBackend.java"})
			wantSentence(t, err, tt.want...)
		})
	}
}
