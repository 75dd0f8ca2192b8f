package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imapproxy/cmd/imapproxy/config"
)

// runIn runs the program in a folder and gives its exit code and both outputs.
func runIn(t *testing.T, folder, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(folder)
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// TestConfigFiles runs check over testdata/config and compares all that it
// prints with the text next to each file.
func TestConfigFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.toml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d configurations, error %v", len(files), err)
	}
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".toml"), func(t *testing.T) {
			folder := siteFolder(t)
			mustWrite(t, filepath.Join(folder, name), mustRead(t, file))
			code, stdout, stderr := runIn(t, folder, "", "check", "--config", name)
			if good := !strings.HasPrefix(name, "bad_"); good != (code == exitOK) {
				t.Errorf("exit code %d", code)
			}
			compareFile(t, filepath.Join(home, strings.TrimSuffix(file, ".toml")+".txt"), stderr+stdout)
		})
	}
}

// compareFile compares with a file, or rewrites it with -update.
func compareFile(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		mustWrite(t, file, got)
		return
	}
	if want := mustRead(t, file); got != want {
		t.Errorf("got\n%s\nwant (%s)\n%s", got, filepath.Base(file), want)
	}
}

// TestFindingsNameFileLineRemedy holds every message of the bad configurations
// to the promised form.
func TestFindingsNameFileLineRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d outputs, error %v", len(files), err)
	}
	form := regexp.MustCompile(`^[\w.]+\.toml:[1-9]\d*: (error|warning): [\w.]+: .+[^.]$`)
	summary := regexp.MustCompile(`^(imapproxy: \w+\.toml: [1-9]\d* error\(s\)|\w+\.toml: ok)$`)
	for _, file := range files {
		lines := strings.Split(strings.TrimSuffix(mustRead(t, file), "\n"), "\n")
		for i, line := range lines {
			want := form
			if i == len(lines)-1 {
				want = summary
			}
			if !want.MatchString(line) {
				t.Errorf("%s:%d: %s", filepath.Base(file), i+1, line)
			}
		}
	}
}

func TestConfigFileItself(t *testing.T) {
	folder := t.TempDir()
	huge := filepath.Join(folder, "huge.toml")
	mustWrite(t, huge, strings.Repeat("#\n", config.MaxBytes/2+1))
	tests := map[string]string{
		filepath.Join(folder, "missing.toml"): "no such file",
		folder:                                "is a directory",
		huge:                                  "longer than",
	}
	for file, want := range tests {
		code, _, stderr := runIn(t, folder, "", "check", "--config", file)
		if code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%s: code %d, %q lacks %q", file, code, stderr, want)
		}
	}
}
