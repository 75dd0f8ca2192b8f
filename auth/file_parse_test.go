package auth

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every fault of a file at once, each at its line and with a remedy.
func TestParseUsersFaults(t *testing.T) {
	lines := []struct{ line, want string }{
		{"# comment: with a colon", ""},
		{"bob:" + hashSHA, ""},
		{"nohash", "no hash: a line is name:hash"},
		{":" + hashSHA, "the user name is empty"},
		{strings.Repeat("u", 513) + ":" + hashSHA, "longer than 512 bytes"},
		{" eve:" + hashSHA, "begins or ends with a space"},
		{"eve :" + hashSHA, "begins or ends with a space"},
		{"bob:" + hashSHA, "duplicate of line 2"},
		{"tab:" + hashSHA + ":backend=a\tmaster", "control byte"},
		{"long:" + strings.Repeat("x", 8<<10), "split or mend"},
		{"a:" + canary, "not a password hash"},
		{"b:", "the hash is empty"},
		{"c:" + hashSHA + ":backend=", "field 1 after the hash is unknown"},
		{"d:" + hashSHA + ":master " + canary, "field 2 after the hash is unknown"},
		{"e:" + hashSHA + ":master master=any", "field 2 is a duplicate"},
		{"f:" + hashSHA + ":master=none", "field 1"},
		{"g:" + hashSHA + ":user=", "field 1"},
		{"h:" + hashSHA + ":plaintext", "remove it"},
		{"i:{PLAIN}" + canary, "word plaintext"},
		{"j:{PLAIN}x:" + canary + ":plaintext", "field 1"},
		{"k:" + hashSHA + ":1000:1000::/home/k", "field 1"},
		{"l:$2b$31$" + strings.Repeat("a", 53), "cost is 31"},
		{"   ", ""},
	}
	var text strings.Builder
	var want []string
	for i, l := range lines {
		fmt.Fprintln(&text, l.line)
		if l.want != "" {
			want = append(want, fmt.Sprintf("users:%d: \x00%s", i+1, l.want))
		}
	}
	set, err := parseUsers("users", []byte(text.String()))
	if err == nil {
		t.Fatalf("taken: %+v", set)
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d errors, want %d:\n%v", len(got), len(want), err)
	}
	for i := range want {
		place, words, _ := strings.Cut(want[i], "\x00")
		if !strings.HasPrefix(got[i], place) || !strings.Contains(got[i], words) {
			t.Errorf("got %q, want %q at %q", got[i], words, place)
		}
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("quotes what may be a password:\n%v", err)
	}
}

func TestParseUsersManyFaults(t *testing.T) {
	_, err := parseUsers("users", []byte(strings.Repeat("nohash\n", 250)))
	if err == nil || strings.Count(err.Error(), "\n") != 100 ||
		!strings.HasSuffix(err.Error(), "150 more errors: mend these first") {
		t.Errorf("got %v", err)
	}
}

func TestParseUsersForms(t *testing.T) {
	set, err := parseUsers("users", []byte("\ufeffbob:"+hashSHA+"\r\n\r\n  # c\r\na b:"+hashSHA+":  master   user=x  "))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.byName) != 2 || set.byName["bob"] == nil || set.byName["a b"] == nil {
		t.Fatalf("users %v", set.byName)
	}
	if u := set.byName["a b"]; u.login != "x" || u.master != masterListed || u.line != 4 {
		t.Errorf("got %+v", u)
	}
}

func TestFileWarnings(t *testing.T) {
	f := openUsers(t,
		"bob:"+hashSHA, "eve:"+hashSHA, "carol:"+hashBcrypt,
		"p:{PLAIN}"+canary+":plaintext", "old:{SSHA}P5Le7sLmkp3S0eHvHC49znJGaRvOirW9", "god:"+hashSHA+":master=any")
	for i, want := range []string{
		`"carol" (line 3), "p" (line 4), "old" (line 5): the login of a name that is not in the file does other work`,
		`"p" (line 4): the password itself`,
		`"old" (line 5): {SSHA}`,
		`"god" (line 6): master=any`,
	} {
		if len(f.Warnings()) <= i || !strings.Contains(f.Warnings()[i], want) {
			t.Errorf("warning %d of %q, want %s", i, f.Warnings(), want)
		}
	}
	if all := strings.Join(f.Warnings(), "\n"); len(f.Warnings()) != 4 || strings.Contains(all, canary) {
		t.Errorf("warnings:\n%s", all)
	}
	if clean := openUsers(t, "bob:"+hashSHA); len(clean.Warnings()) != 0 {
		t.Errorf("a good file: %q", clean.Warnings())
	}
}

func TestFileWarnsOfReaders(t *testing.T) {
	f := openUsers(t, "bob:"+hashSHA)
	if err := os.Chmod(f.path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings()) != 1 || !strings.Contains(f.Warnings()[0], "chmod o-r") {
		t.Errorf("warnings %q", f.Warnings())
	}
}

// FuzzUserFile: no input brings the parser down or out of its promises.
func FuzzUserFile(f *testing.F) {
	f.Add([]byte("bob:" + hashSHA + ":master backend=b1\n# c\n"))
	for _, v := range vectors {
		f.Add([]byte(v.name + ":" + v.text + "\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseUsers("users", data)
		if (set == nil) == (err == nil) {
			t.Fatalf("neither or both: %v, %v", set, err)
		}
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "users:") {
					t.Fatalf("an error without a place: %q", line)
				}
			}
			return
		}
		for name, u := range set.byName {
			if nameFlaw(name) != "" || nameFlaw(u.login) != "" || u.name != name {
				t.Fatalf("user %q is %+v", name, u)
			}
			if u.hash != nil && set.dummy == nil {
				t.Fatalf("user %q has a hash and there is no dummy", name)
			}
			if u.hash != nil && isCheap(u.hash.kind) {
				if _, err := u.hash.verify(canary); err != nil {
					t.Fatalf("user %q: taken, and %v", name, err)
				}
			}
		}
	})
}

// isCheap picks the hashes that a fuzz target has the time to compute.
func isCheap(kind string) bool {
	for _, field := range strings.Fields(kind)[1:] {
		name, value, _ := strings.Cut(field, "=")
		n, err := strconv.Atoi(value)
		if err == nil && (n > 1000 || n > 6 && (name == "cost" || name == "log2(N)")) {
			return false
		}
	}
	return true
}
