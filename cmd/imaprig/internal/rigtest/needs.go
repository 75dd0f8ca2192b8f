package rigtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// NotQuick leaves a test out of make quick, which runs go test -short.
func NotQuick(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out of make quick")
	}
}

// NeedPrograms skips the test unless these programs are in PATH. The test is no
// part of make quick.
func NeedPrograms(t *testing.T, names ...string) {
	t.Helper()
	NotQuick(t)
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			t.Skipf("SKIPPED: no %s in PATH", n)
		}
	}
}

// NeedRoot skips the test unless it runs as root, which a network namespace needs.
func NeedRoot(t *testing.T) {
	t.Helper()
	NotQuick(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: a network namespace needs root; run the tests as root")
	}
}

// OwnProgram builds our proxy and returns its path.
func OwnProgram(t *testing.T) string {
	t.Helper()
	NeedPrograms(t, "go")
	path, err := BuildOwnProgram(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// BuildOwnProgram builds our proxy in a folder and returns its path.
func BuildOwnProgram(dir string) (string, error) {
	path := filepath.Join(dir, "imapproxy")
	if out, err := exec.Command("go", "build", "-o", path, "imapproxy/cmd/imapproxy").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the proxy: %w: %s", err, out)
	}
	return path, nil
}

const deepestPackage = 8 // folders between a package and the module's root

// Root returns the module's folder.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range deepestPackage {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod above the working directory")
	return ""
}

// JavaSource returns the path of the Java backend's source. It skips the test unless there is a java to run it.
func JavaSource(t *testing.T) string {
	t.Helper()
	NotQuick(t)
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("SKIPPED: no java in PATH; install a JDK, Debian: openjdk-17-jdk-headless")
	}
	return filepath.Join(Root(t), "testdata/javabackend/JavaBackend.java")
}

// NeedDavMail skips the test unless Debian's DavMail is installed, and a java to run it.
func NeedDavMail(t *testing.T) {
	t.Helper()
	NeedPrograms(t, "java")
	if _, err := os.Stat("/usr/share/davmail/davmail.jar"); err != nil {
		t.Skip("SKIPPED: no DavMail; apt-get install davmail-server")
	}
}

// NoDevice waits until there is no network device of this name.
func NoDevice(t *testing.T, name string) {
	t.Helper()
	Eventually(t, func() error {
		if _, err := net.InterfaceByName(name); err == nil {
			return fmt.Errorf("the device %s is there still", name)
		}
		return nil
	})
}
