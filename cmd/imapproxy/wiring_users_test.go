package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestUsersWithoutEffect: lines of the file of users that the rest of the configuration
// makes useless are warned of, and others are not.
func TestUsersWithoutEffect(t *testing.T) {
	const lost = "backend= is neither a target's name nor permitted by route.allow: they can't log in"
	const unused = `backend= has no effect with route.type = "fixed": write type = "auth", or remove it`
	const other = "no client can log in under such a name: [rewrite.auth] makes another of it "
	const targets = `target = [{ name = "one", addresses = ["a.example.org"] }, ` +
		`{ name = "two", addresses = ["b.example.org"] }]` + "\n"
	const byAuth = `route = { type = "auth", target = "one", allow = ["10.0.0.0/24:993"], template = "one" }` + "\n"
	for _, tt := range []struct{ name, config, users, want string }{
		{"good", byAuth, "alice:!:backend=two\nbob:!:backend=10.0.0.7:993\ncarol:!\n", ""},
		{"unknown target", byAuth, "alice:!:backend=two\nbob:!:backend=tow\n",
			`users: "bob" (line 2): ` + lost},
		{"no effect", `route = { type = "fixed", target = "one" }`, "alice:!\nbob:!:backend=two\n",
			`users: "bob" (line 2): ` + unused},
		{"capitals", byAuth + "rewrite = { auth = { lower_case = true } }", "alice:!\nBob:!\n",
			`users: "Bob" (line 2): ` + other + "(lower-case)"},
		{"no domain", byAuth + `rewrite = { auth = { add_domain = "x.org" } }`, "a@y:!\nbob:!\n",
			`users: "bob" (line 2): ` + other + `(add the domain "x.org")`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := siteFolder(t)
			mustWrite(t, filepath.Join(folder, "users"), tt.users)
			mustWrite(t, filepath.Join(folder, "x.toml"), `auth = { type = "file", file = "users" }`+"\n"+
				targets+tt.config+exampleListener)
			code, _, stderr := runIn(t, folder, "", "check", "--config", "x.toml")
			if code != exitOK || (tt.want == "") != (stderr == "") ||
				tt.want != "" && (strings.Count(stderr, "\n") != 1 ||
					!strings.Contains(stderr, "warning: auth.file: "+tt.want)) {
				t.Errorf("code %d:\n%s", code, stderr)
			}
		})
	}
}

// TestNoFileOfUsers: what to type for the first user.
func TestNoFileOfUsers(t *testing.T) {
	folder := siteFolder(t)
	mustWrite(t, filepath.Join(folder, "x.toml"), `auth = { type = "file", file = "none" }`+"\n"+
		`route = { type = "fixed", target = "one" }`+"\n"+`target = [{ name = "one", addresses = ["a.example.org"] }]`+
		exampleListener)
	code, _, stderr := runIn(t, folder, "", "check", "--config", "x.toml")
	const want = "error: auth.file: none: no such file or directory; " +
		"make its lines with `imapproxy passwd --user NAME`, or name another file\n"
	if code != exitFailed || !strings.Contains(stderr, want) {
		t.Errorf("code %d:\n%s", code, stderr)
	}
}
