package auth

import (
	"errors"
	"strings"
	"testing"
)

// canary is a password that no error text may hold.
const canary = "kanarie-7c1f"

func TestCheckCredentials(t *testing.T) {
	for _, c := range []struct {
		name, user, authzID, secret string
		ok                          bool
	}{
		{"plain", "bob", "", canary, true},
		{"authzid", "bob", "eve", canary, true},
		{"spaces and 8-bit", "b ö b", "", "p w\xff" + canary, true},
		{"longest", strings.Repeat("u", 512), strings.Repeat("a", 512), strings.Repeat("s", 4096), true},
		{"empty user", "", "", canary, false},
		{"empty user, authzid", "", "bob", canary, false},
		{"empty secret", "bob", "", "", false},
		{"long user", strings.Repeat("u", 513), "", canary, false},
		{"long authzid", "bob", strings.Repeat("a", 513), canary, false},
		{"long secret", "bob", "", canary + strings.Repeat("s", 4096), false},
	} {
		wantChecked(t, c.name, c.user, c.authzID, c.secret, c.ok)
	}
}

// TestLongTokens takes what providers issue, 12 KiB and more.
func TestLongTokens(t *testing.T) {
	for _, c := range []struct {
		mechanism string
		size      int
		ok        bool
	}{
		{XOAuth2, maxToken, true}, {OAuthBearer, maxToken, true}, {OAuthBearer, maxToken + 1, false},
		{"PLAIN", maxSecret, true}, {"PLAIN", maxSecret + 1, false}, {"LOGIN", maxSecret + 1, false},
	} {
		err := (&Request{Mechanism: c.mechanism, User: "bob", Secret: Secret(strings.Repeat("t", c.size))}).Check()
		if (err == nil) != c.ok {
			t.Errorf("%s, %d bytes: %v", c.mechanism, c.size, err)
		}
	}
}

// Every byte value at every place of each credential.
func TestCheckCredentialsBytes(t *testing.T) {
	for b := range 256 {
		x := string([]byte{byte(b)})
		ok := b >= 0x20 && b != 0x7F
		for _, s := range []string{x + "abc", "ab" + x + "c", "abc" + x, "\xc3" + x} {
			wantChecked(t, "user", s, "", canary, ok)
			wantChecked(t, "authzid", "bob", s, canary, ok)
			wantChecked(t, "secret", "bob", "", s+canary, ok)
		}
	}
}

func wantChecked(t *testing.T, name, user, authzID, secret string, ok bool) {
	t.Helper()
	err := CheckCredentials(user, authzID, Secret(secret))
	if ok {
		if err != nil {
			t.Errorf("%s: %q %q: refused: %v", name, user, authzID, err)
		}
		return
	}
	var denied *Denied
	if !errors.As(err, &denied) {
		t.Errorf("%s: %q %q: got %v, want a *Denied", name, user, authzID, err)
		return
	}
	if denied.Code != "CLIENTBUG" || denied.Text == "" {
		t.Errorf("%s: the client reads [%s] %q, want what is wrong", name, denied.Code, denied.Text)
	}
	if strings.Contains(err.Error()+denied.Text, canary) {
		t.Errorf("%s: the error holds the password: %v", name, err)
	}
}
