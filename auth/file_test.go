package auth

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The hashes of canary that the tests use; cheap, for there are many logins.
const (
	hashSHA = "$6$rounds=1000$saltsalt$" +
		"Gspk.aW98vrr/kXpYPkjaiy6t5cj5n2oVu1NJ7kNH6ReXO5usbFib0MRJJ8vHRioyvDg/g2UrT7SrLMKuRCBI1"
	hashBcrypt = "$2b$04$abcdefghijklmnopqrstuuAVsLflV8ZZsUyeRKPrmSlhUfYW0tAcW"
)

func TestFileGrants(t *testing.T) {
	f := openUsers(t,
		"# users", "",
		"bob:{SHA512-CRYPT}"+hashSHA,
		"Bob:"+hashSHA+":backend=b2",
		"eve@example.org:"+hashSHA+"::::::",
		"carol:"+hashSHA+":user=carol.c backend=[::1]:1143",
		"root:"+hashSHA+":master user=admin\r",
		"god:"+hashSHA+":master=any",
		"gone:!"+hashSHA+":backend=b3",
		"nobody:*",
		"plain:{PLAIN}"+canary+":plaintext",
	)
	right, wrong := Secret(canary), Secret(canary+"x")
	for _, c := range []struct {
		name, user, authzID string
		secret              Secret
		want                *Grant
		code                string // of the refusal
	}{
		{"user", "bob", "", right, &Grant{User: "bob", Secret: right}, ""},
		{"case is another user", "Bob", "", right, &Grant{User: "Bob", Secret: right, Server: "b2"}, ""},
		{"unknown by case", "BOB", "", right, nil, ""},
		{"Dovecot's empty fields", "eve@example.org", "", right, &Grant{User: "eve@example.org", Secret: right}, ""},
		{"backend and user", "carol", "", right, &Grant{User: "carol.c", Secret: right, Server: "[::1]:1143"}, ""},
		{"own authzid", "carol", "carol", right, &Grant{User: "carol.c", Secret: right, Server: "[::1]:1143"}, ""},
		{"plaintext", "plain", "", right, &Grant{User: "plain", Secret: right}, ""},
		{"wrong", "bob", "", wrong, nil, ""},
		{"unknown", "mallory", "", right, nil, ""},
		{"locked", "gone", "", right, nil, ""},
		{"locked and plain wrong", "nobody", "", right, nil, ""},
		{"empty password", "bob", "", "", nil, codeMalformed},
		{"master", "root", "carol", right, &Grant{User: "carol.c", AuthID: "admin", Secret: right,
			Server: "[::1]:1143"}, ""},
		{"master as a locked user", "root", "gone", right, &Grant{User: "gone", AuthID: "admin", Secret: right,
			Server: "b3"}, ""},
		{"master, own login", "root", "", right, &Grant{User: "admin", Secret: right}, ""},
		{"master as unknown", "root", "mallory", right, nil, codeAuthorization},
		{"any as unknown", "god", "mallory", right, &Grant{User: "mallory", AuthID: "god", Secret: right}, ""},
		{"any as known", "god", "Bob", right, &Grant{User: "Bob", AuthID: "god", Secret: right, Server: "b2"}, ""},
		{"master, wrong password", "root", "carol", wrong, nil, ""},
		{"no master", "bob", "carol", right, nil, codeAuthorization},
		{"no master, wrong password", "bob", "carol", wrong, nil, ""},
		{"no master as unknown, wrong password", "bob", "mallory", wrong, nil, ""},
		{"unknown as known", "mallory", "carol", right, nil, ""},
		{"authzid is a master", "bob", "root", right, nil, codeAuthorization},
		{"authzid with a separator", "root", "bob*carol", right, nil, codeAuthorization},
		{"authzid with NUL", "root", "bob\x00", right, nil, codeMalformed},
		{"user with a separator", "bob*root", "", right, nil, ""},
	} {
		grant, err := f.Authenticate(context.Background(), &Request{User: c.user, AuthzID: c.authzID, Secret: c.secret})
		var denied *Denied
		switch {
		case c.want != nil && (err != nil || *grant != *c.want):
			t.Errorf("%s: got %+v, %v; want %+v", c.name, grant, err, c.want)
		case c.want == nil && (grant != nil || !errors.As(err, &denied)):
			t.Errorf("%s: got %+v, %v; want a *Denied", c.name, grant, err)
		case c.want == nil && (denied.Code != c.code || denied.Wait != 0),
			c.want == nil && denied.Text != "" && c.code != codeMalformed:
			t.Errorf("%s: the client reads [%s] %q, want [%s]", c.name, denied.Code, denied.Text, c.code)
		case err != nil && strings.Contains(err.Error(), canary):
			t.Errorf("%s: the password is in %v", c.name, err)
		}
	}
}

// An unknown user and a wrong password get the same answer for the same work:
// the same number of computations of the same kind of hash.
func TestFileUnknownUserDoesTheSameWork(t *testing.T) {
	f := openUsers(t,
		"carol:"+hashBcrypt, // not the kind most used
		"bob:"+hashSHA, "eve:"+hashSHA, "gone:!"+hashSHA, "root:"+hashSHA+":master")
	attempt := func(user, authzID string, secret Secret) (Denied, []string) {
		t.Helper()
		var work []string
		f.match = func(h *hash, s Secret) (bool, error) {
			work = append(work, h.kind)
			return h.verify(s)
		}
		_, err := f.Authenticate(context.Background(), &Request{User: user, AuthzID: authzID, Secret: secret})
		var denied *Denied
		if !errors.As(err, &denied) {
			t.Fatalf("%s: got %v", user, err)
		}
		face := *denied
		face.Log, face.Disabled = "", false // for the log
		return face, work
	}
	wantFace, wantWork := attempt("bob", "", "wrong")
	if !slices.Equal(wantWork, []string{"sha512-crypt rounds=1000"}) {
		t.Fatalf("a wrong password costs %q", wantWork)
	}
	for _, c := range []struct {
		name, user, authzID string
		secret              Secret
	}{
		{"unknown", "mallory", "", "wrong"},
		{"unknown with a password that another user has", "mallory", "", canary},
		{"locked, right", "gone", "", canary},
		{"locked, wrong", "gone", "", "wrong"},
		{"unknown with authzid", "mallory", "bob", "wrong"},
		{"known with authzid", "bob", "eve", "wrong"},
		{"master with unknown authzid", "root", "mallory", "wrong"},
		{"master with known authzid", "root", "eve", "wrong"},
	} {
		face, work := attempt(c.user, c.authzID, c.secret)
		if face != wantFace || !slices.Equal(work, wantWork) {
			t.Errorf("%s: answer %+v for %q, want %+v for %q", c.name, face, work, wantFace, wantWork)
		}
	}
}

// As many hashes are computed at a time as there are places; who waits longer than the context
// is unavailable, not denied.
func TestFileLimitsComputations(t *testing.T) {
	f := openUsers(t, "bob:"+hashSHA)
	places := cap(f.slots)
	begun, release, ended := make(chan bool, places), make(chan bool), make(chan error, places)
	f.match = func(*hash, Secret) (bool, error) {
		begun <- true
		<-release
		return true, nil
	}
	login := func(ctx context.Context) error {
		_, err := f.Authenticate(ctx, &Request{User: "bob", Secret: canary})
		return err
	}
	for range places {
		go func() { ended <- login(context.Background()) }()
	}
	for range places {
		<-begun
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := login(ctx)
	var denied *Denied
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &denied) {
		t.Errorf("one too many: %v", err)
	}
	close(release)
	for range places {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := login(context.Background()); err != nil {
		t.Errorf("the place did not come back: %v", err)
	}
	if err := login(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestFileHashThatCantBeComputed(t *testing.T) {
	f := openUsers(t, "bob:"+hashSHA)
	broken := errors.New("broken")
	f.match = func(*hash, Secret) (bool, error) { return true, broken }
	for _, user := range []string{"bob", "mallory"} {
		grant, err := f.Authenticate(context.Background(), &Request{User: user, Secret: canary})
		if grant != nil || !errors.Is(err, broken) {
			t.Errorf("%s: %+v, %v", user, grant, err)
		}
	}
}

func TestFileReload(t *testing.T) {
	f := openUsers(t, "bob:"+hashSHA)
	login := func(user string) error {
		_, err := f.Authenticate(context.Background(), &Request{User: user, Secret: canary})
		return err
	}
	writeUsers(t, f.path, "eve:"+hashSHA, "bob", "eve:"+canary)
	err := f.Reload()
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("a file with two faults: %v", err)
	}
	if login("bob") != nil || login("eve") == nil {
		t.Error("the bad file changed something")
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); !errors.Is(err, os.ErrNotExist) || login("bob") != nil {
		t.Errorf("a missing file: %v, %v", err, login("bob"))
	}
	writeUsers(t, f.path, "eve:"+hashSHA)
	if err := f.Reload(); err != nil || login("eve") != nil || login("bob") == nil {
		t.Errorf("a good file: %v, %v, %v", err, login("eve"), login("bob"))
	}
	if _, err := OpenFile(f.path+".missing", nil); err == nil {
		t.Error("a missing file was opened")
	}
}

func TestFileWithoutUsers(t *testing.T) {
	f := openUsers(t, "# nobody yet")
	_, err := f.Authenticate(context.Background(), &Request{User: "bob", Secret: canary})
	var denied *Denied
	if !errors.As(err, &denied) {
		t.Errorf("got %v", err)
	}
	if len(f.Warnings()) != 1 || !strings.Contains(f.Warnings()[0], "no users") {
		t.Errorf("warnings %q", f.Warnings())
	}
}

// openUsers opens a user file of these lines.
func openUsers(t *testing.T, lines ...string) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	writeUsers(t, path, lines...)
	f, err := OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func writeUsers(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileLookup(t *testing.T) {
	f := openUsers(t, "alice:!:user=al backend=two", "bob:!")
	tests := []struct {
		user, login, server string
		known               bool
	}{{"alice", "al", "two", true}, {"bob", "bob", "", true}, {"carol", "", "", false}}
	for _, tt := range tests {
		login, server, known := f.Lookup(tt.user)
		if login != tt.login || server != tt.server || known != tt.known {
			t.Errorf("%s: %q, %q, %v", tt.user, login, server, known)
		}
	}
}
