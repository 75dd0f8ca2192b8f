package completion

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// example is a program with all that there is to complete.
func example() []Command {
	return []Command{
		{Name: "serve", Summary: "runs it: 'now' [fast]", Flags: []Flag{{Name: "--config", Text: "a FILE", Value: true,
			File: true}, {Name: "--admin", Text: "an ADDRESS", Value: true}, {Name: "--json", Text: "as JSON"}}},
		{Name: "convert", Summary: "converts", Words: []string{"nginx", "perdition"}, Files: true,
			Flags: []Flag{{Name: "-o", Text: "a FILE", Value: true, File: true}}},
	}
}

// TestBash has bash complete command lines; the last word is what is completed.
func TestBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("SKIPPED: bash is missing")
	}
	folder := t.TempDir()
	for _, name := range []string{"a.conf", "b c.conf"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte(Script("bash", "prog", example())), 0o600); err != nil {
		t.Fatal(err)
	}
	const files = "a.conf|b c.conf"
	for line, want := range map[string]string{
		"prog|":                   "serve|convert",
		"prog|se":                 "serve",
		"prog|x":                  "",
		"prog|serve|":             "",
		"prog|serve|--":           "--config|--admin|--json",
		"prog|serve|--config|":    files,
		"prog|serve|--config|b":   "b c.conf",
		"prog|serve|--admin|":     "",
		"prog|serve|--json|--ad":  "--admin",
		"prog|convert|":           "nginx|perdition|" + files,
		"prog|convert|ng":         "nginx",
		"prog|convert|nginx|a":    "a.conf",
		"prog|convert|-":          "-o",
		"prog|convert|nginx|-o|a": "a.conf",
		"prog|unknown|":           "",
	} {
		cmd := exec.Command("bash", "-uc", `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _prog
			for word in ${COMPREPLY[@]+"${COMPREPLY[@]}"}; do printf '%s\n' "$word"; done; complete -p prog >&2`,
			script)
		cmd.Args = append(cmd.Args, strings.Split(line, "|")...)
		cmd.Dir = folder
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil || said.String() != "complete -F _prog prog\n" {
			t.Errorf("%s: %v, %s", line, err, &said)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		slices.Sort(got)
		wanted := strings.Split(want, "|")
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// TestOtherShells has the commands and flags in the scripts of the others, with
// what means something to the shell taken as it is.
func TestOtherShells(t *testing.T) {
	for shell, wants := range map[string][]string{
		"zsh": {"#compdef prog\n", `'serve:runs it\: '\''now'\'' \[fast\]'`, "'*--config[a FILE]:file:_files'",
			"'*--admin[an ADDRESS]:value: '", "'*--json[as JSON]'", "'1:word:(nginx perdition)'", "'*-o[a FILE]"},
		"fish": {`-a serve -d 'runs it: \'now\' [fast]'`, "-l config -r -F", "-l admin -x", "-l json -d", "-s o -r -F",
			"-a 'nginx perdition'"},
	} {
		script := Script(shell, "prog", example())
		for _, want := range wants {
			if !strings.Contains(script, want) {
				t.Errorf("%s: no %s in\n%s", shell, want, script)
			}
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // what has been looked for is all that can be
		}
		file := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(path, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	if Script("tcsh", "prog", example()) != "" {
		t.Error("a script for a shell that is not listed")
	}
}
