package route

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"imapproxy/backend"
	"imapproxy/backend/username"
)

// writeMap writes a map file and returns its path.
func writeMap(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "users.map")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

const exampleMap = `# who lives where
alice                 imap1          # comment
"odd name"            "bob x@imap1"
"/slash"              imap1
"@at"                 imap1
"*"                   imap2
a#b                   imap1
bob@example.com       robert@10.1.1.1:143
both@sides            a@b@imap1
dollar                $$x@imap1

@example.com          imap2
@.example.com         imap3
@.deep.example.com    imap1
@DEEP.example.com     10.1.1.2
/^u([0-9]+)@(.*)$/    $2-user$1@store-$1.example.org:1143
/^p([0-9]+)$/         10.1.1.${1}
/^(x)?y(z)?$/         $1-$2-$0-$$@imap2
/^\/a b#c"$/          imap2
/e@host$/             imap1
/^(e|f)@host$/        imap2
/^h=(.*)$/            $1
/^l=(.*)$/            $1@imap1
/^m=(.*)$/            imap-$1
*                     imap3
`

func TestMap(t *testing.T) {
	path := writeMap(t, exampleMap)
	m, err := OpenMap(path, exampleTargets(t).Resolve, username.Rewrite{}, username.Rewrite{StripDomain: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, target, user, rule string }{
		{"alice", "imap1", "alice", ":2 (exact name)"},
		{"Alice", "imap3", "Alice", ":25 (default)"},
		{"odd name", "imap1", "bob x", ":3 (exact name)"},
		{"/slash", "imap1", "/slash", ":4 (exact name)"},
		{"*", "imap2", "*", ":6 (exact name)"},
		{"a#b", "imap1", "a#b", ":7 (exact name)"},
		{"bob@example.com", "10.1.1.1:143", "robert", ":8 (exact name)"},
		{"both@sides", "imap1", "a@b", ":9 (exact name)"},
		{"dollar", "imap1", "$x", ":10 (exact name)"},
		{"carol@example.com", "imap2", "carol", ":12 (domain @example.com)"},
		{"carol@EXAMPLE.com", "imap2", "carol", ":12 (domain @example.com)"},
		{"a@b@example.com", "imap2", "a@b", ":12 (domain @example.com)"},
		{"u7@example.com", "imap2", "u7", ":12 (domain @example.com)"},
		{"carol@x.example.com", "imap3", "carol", ":13 (subdomains @.example.com)"},
		{"carol@deep.example.com", "10.1.1.2:143", "carol", ":15 (domain @deep.example.com)"},
		{"carol@x.y.deep.example.com", "imap1", "carol", ":14 (subdomains @.deep.example.com)"},
		{"carol@notexample.com", "imap3", "carol", ":25 (default)"},
		{"carol@.example.com", "imap3", "carol", ":25 (default)"},
		{"carol@", "imap3", "carol", ":25 (default)"},
		{"u7@other", "store-7.example.org:1143", "other-user7", `:16 (regular expression /^u([0-9]+)@(.*)$/)`},
		{"p9", "10.1.1.9:143", "p9", `:17 (regular expression /^p([0-9]+)$/)`},
		{"y", "imap2", "--y-$", `:18 (regular expression /^(x)?y(z)?$/)`},
		{"xyz", "imap2", "x-z-xyz-$", `:18 (regular expression /^(x)?y(z)?$/)`},
		{`/a b#c"`, "imap2", `/a b#c"`, `:19 (regular expression /^\/a b#c"$/)`},
		{"e@host", "imap1", "e", `:20 (regular expression /e@host$/)`},
		{"f@host", "imap2", "f", `:21 (regular expression /^(e|f)@host$/)`},
		{"h=imap1", "imap1", "h=imap1", `:22 (regular expression /^h=(.*)$/)`},
		{"h=10.1.1.1:143", "10.1.1.1:143", "h=10.1.1.1:143", `:22 (regular expression /^h=(.*)$/)`},
		{"l=x@evil.test", "imap1", "x@evil.test", `:23 (regular expression /^l=(.*)$/)`},
		{"nobody", "imap3", "nobody", ":25 (default)"},
	} {
		got, err := m.Route(t.Context(), backend.Query{User: c.in})
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got.Target.Name != c.target || got.User != c.user || got.Rule != "map "+path+c.rule {
			t.Errorf("%s: got %s, %q, %s\nwant %s, %q, map %s%s", c.in, got.Target.Name, got.User, got.Rule, c.target,
				c.user, path, c.rule)
		}
	}
}

// A name that a client chose ends up in the host of a result.
func TestMapHoldsTheAllowList(t *testing.T) {
	m, err := OpenMap(writeMap(t, exampleMap), exampleTargets(t).Resolve, username.Rewrite{}, username.Rewrite{})
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range hostileServers {
		for _, prefix := range []string{"h=", "m=", "h=victim@", "m=@", "m=x@10.1.1.1:143@"} {
			if got, err := m.Route(t.Context(), backend.Query{User: prefix + server}); err == nil {
				t.Errorf("%.60q was routed to %v", prefix+server, got.Target.Addresses)
			}
		}
		if got, err := m.Route(t.Context(), backend.Query{User: "l=x@" + server}); err == nil &&
			got.Target.Name != "imap1" {
			t.Errorf("%.60q was routed to %v", "l=x@"+server, got.Target.Addresses)
		}
	}
	for _, user := range []string{"u8@other", "u@h=imap1:22", "m=@10.1.1.1:143", "p256"} {
		if got, err := m.Route(t.Context(), backend.Query{User: user}); err == nil && got.Target.Name != "imap3" ||
			errors.Is(err, backend.ErrNoRoute) {
			t.Errorf("%q: got %+v, %v, want an error that is not ErrNoRoute", user, got, err)
		}
	}
}

func TestMapRewritesAndKeys(t *testing.T) {
	resolve := exampleTargets(t).Resolve
	for _, c := range []struct {
		name          string
		lookup, login username.Rewrite
		file, in      string
		target, user  string
	}{
		{"looked up in lower case, logged in as is", username.Rewrite{LowerCase: true}, username.Rewrite{},
			"bob imap1\n* imap3", "BOB", "imap1", "BOB"},
		{"the file's names are lower-cased with it", username.Rewrite{LowerCase: true}, username.Rewrite{},
			"Bob imap1\n* imap3", "bOb", "imap1", "bOb"},
		{"case counts otherwise", username.Rewrite{}, username.Rewrite{}, "Bob imap1\n* imap3", "bob", "imap3", "bob"},
		{"domain added for the lookup only", username.Rewrite{AddDomain: "x.org"}, username.Rewrite{},
			"@x.org imap1\n* imap3", "bob", "imap1", "bob"},
		{"domain stripped for the lookup only", username.Rewrite{StripDomain: true}, username.Rewrite{},
			"bob imap1\n* imap3", "bob@x", "imap1", "bob@x"},
		{"login rewritten from the user, not the key", username.Rewrite{StripDomain: true},
			username.Rewrite{LowerCase: true}, "* imap1", "Bob@X", "imap1", "bob@x"},
		{"a result's user is not rewritten", username.Rewrite{}, username.Rewrite{LowerCase: true, AddDomain: "y"},
			"bob Rob@imap1", "bob", "imap1", "Rob"},
		{"another delimiter", username.Rewrite{Delimiter: "%"}, username.Rewrite{}, "@x imap1\n* imap3", "bob%x",
			"imap1",
			"bob%x"},
		{"expression sees the key", username.Rewrite{LowerCase: true}, username.Rewrite{}, "/^b(.*)$/ $1@imap1", "BOB",
			"imap1", "ob"},
		{"CRLF, BOM, tabs, no final newline", username.Rewrite{}, username.Rewrite{},
			"\uFEFFbob\timap1\t# x\r\n\r\n* imap3", "bob", "imap1", "bob"},
		{"bytes in quotes", username.Rewrite{}, username.Rewrite{}, `"b\xf6b" imap1`, "b\xF6b", "imap1", "b\xF6b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := OpenMap(writeMap(t, c.file), resolve, c.lookup, c.login)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Route(t.Context(), backend.Query{User: c.in})
			if err != nil || got.Target.Name != c.target || got.User != c.user {
				t.Errorf("got %+v, %v, want %s, %q", got, err, c.target, c.user)
			}
		})
	}
}

func TestMapRefusesNames(t *testing.T) {
	file := "bob imap1\n/^(a)+$/ " + strings.Repeat("$0", 8) + "@imap1\n/^e(x?)/ $1@imap1\n/^n(.*)/ " +
		"$1$1$1$1.example.org\n"
	m, err := OpenMap(writeMap(t, file), exampleTargets(t).Resolve, username.Rewrite{},
		username.Rewrite{StripDomain: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, user, want string
		noRoute          bool
	}{
		{"no rule", "carol", "no rule for", true},
		{"empty", "", "empty", false},
		{"control byte", "bo\x01b", "control byte", false},
		{"over-long", strings.Repeat("b", maxLoginName+1), "1025 bytes", false},
		{"over-long by its groups", strings.Repeat("a", 200), "longer than", false},
		{"over-long host by its groups", "n" + strings.Repeat("a", 400), "host: the result", false},
		{"empty by its groups", "e", "empty", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := m.Route(t.Context(), backend.Query{User: c.user})
			if err == nil || got != (backend.Route{}) || !strings.Contains(err.Error(), c.want) ||
				errors.Is(err, backend.ErrNoRoute) != c.noRoute {
				t.Errorf("got %+v, %v, want an error with %q, ErrNoRoute %v", got, err, c.want, c.noRoute)
			}
		})
	}
}

func TestMapReload(t *testing.T) {
	path := writeMap(t, "* imap1\n")
	m, err := OpenMap(path, exampleTargets(t).Resolve, username.Rewrite{}, username.Rewrite{})
	if err != nil {
		t.Fatal(err)
	}
	target := func() string {
		got, err := m.Route(t.Context(), backend.Query{User: "bob"})
		if err != nil {
			t.Error(err)
			return ""
		}
		return got.Target.Name
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "bob imap2\n* nowhere.test\n", "# only this\n"} {
		write(bad)
		if err := m.Reload(); err == nil || target() != "imap1" {
			t.Errorf("%q: error %v, target %s", bad, err, target())
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := m.Reload(); err == nil || target() != "imap1" {
		t.Errorf("no file: error %v, target %s", err, target())
	}
	write("* imap2\n")
	var wg sync.WaitGroup
	for range 4 { // under -race: reload and route at once
		wg.Go(func() {
			if err := m.Reload(); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if got := target(); got != "imap1" && got != "imap2" {
				t.Errorf("target %s", got)
			}
		})
	}
	wg.Wait()
	if got := target(); got != "imap2" {
		t.Errorf("after the reload: %s", got)
	}
}

// Two reloads side by side could leave the older reading in use.
func TestMapReloadsOneAtATime(t *testing.T) {
	var inside atomic.Int32
	target := &backend.Target{Name: "t"}
	resolve := func(string) (*backend.Target, error) {
		if n := inside.Add(1); n != 1 {
			t.Errorf("%d reloads at once", n)
		}
		for range 1000 {
			runtime.Gosched()
		}
		inside.Add(-1)
		return target, nil
	}
	m, err := OpenMap(writeMap(t, "* t\n"), resolve, username.Rewrite{}, username.Rewrite{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := m.Reload(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenMapFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "no such file",
		dir:                           "not a regular file",
		pipe:                          "not a regular file",
	} {
		if m, err := OpenMap(path, exampleTargets(t).Resolve, username.Rewrite{}, username.Rewrite{}); err == nil ||
			m != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want an error with %q", path, m, err, want)
		}
	}
}
