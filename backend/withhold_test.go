package backend

import (
	"encoding/base64"
	"testing"
)

// TestWithhold takes only what repeats the password out of a text.
func TestWithhold(t *testing.T) {
	plain := Credentials{User: "bob", Secret: `pa"ss`}
	long := Credentials{User: "bob", Secret: "correct horse battery"}
	word := long.plain()
	for _, c := range []struct {
		cred       Credentials
		text, want string
	}{
		{Credentials{User: "bob", Secret: "user"}, "Unknown user, so the users wait",
			"Unknown (withheld), so the (withheld)s wait"},
		{plain, `what is pa"ss?`, "what is (withheld)?"},
		{plain, `LOGIN bob "pa\"ss"`, `LOGIN bob "(withheld)"`},
		{long, "what is " + word + "?", "what is (withheld)?"},
		{long, "what is " + word[:len(word)-7], "what is (withheld)"},
		{long, "what is " + base64.StdEncoding.EncodeToString([]byte(long.Secret)) + ".", "what is (withheld)."},
		{long, "correct horse", "correct horse"},
		{long, "", ""},
	} {
		h := c.cred.hidden()
		if got := h.without(c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}
