package username

import "testing"

func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		name     string
		rewrite  Rewrite
		in, want string
		text     string
	}{
		{"zero value", Rewrite{}, "Bob@Example.com", "Bob@Example.com", "unchanged"},
		{"lower-case", Rewrite{LowerCase: true}, "Bob@EXAMPLE.com", "bob@example.com", "lower-case"},
		{"lower-case leaves other bytes", Rewrite{LowerCase: true}, "\u212A\xFFÄZ", "\u212A\xFFÄz", "lower-case"},
		{"strip", Rewrite{StripDomain: true}, "bob@example.com", "bob", "strip the domain"},
		{"strip at the last delimiter", Rewrite{StripDomain: true}, "a@b@c", "a@b", "strip the domain"},
		{"strip without a domain", Rewrite{StripDomain: true}, "bob", "bob", "strip the domain"},
		{"strip a nameless domain", Rewrite{StripDomain: true}, "@example.com", "", "strip the domain"},
		{"add", Rewrite{AddDomain: "x.org"}, "bob", "bob@x.org", `add the domain "x.org"`},
		{"add only without a delimiter", Rewrite{AddDomain: "x.org"}, "bob@y", "bob@y", `add the domain "x.org"`},
		{"add to nobody", Rewrite{AddDomain: "x.org"}, "", "", `add the domain "x.org"`},
		{"strip, then add", Rewrite{StripDomain: true, AddDomain: "x.org"}, "bob@y", "bob@x.org",
			`strip the domain, add the domain "x.org"`},
		{"strip one, then one is left", Rewrite{StripDomain: true, AddDomain: "x"}, "a@b@c", "a@b",
			`strip the domain, add the domain "x"`},
		{"strip to nobody, then add", Rewrite{StripDomain: true, AddDomain: "x.org"}, "@y", "",
			`strip the domain, add the domain "x.org"`},
		{"lower-case comes last", Rewrite{AddDomain: "X.ORG", LowerCase: true}, "BOB", "bob@x.org",
			`add the domain "X.ORG", lower-case`},
		{"delimiter of several characters", Rewrite{StripDomain: true, Delimiter: "::"}, "a::b::c:d", "a::b",
			`strip the domain, delimiter "::"`},
		{"another delimiter for adding", Rewrite{AddDomain: "x", Delimiter: "%"}, "a@b", "a@b%x",
			`add the domain "x", delimiter "%"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.rewrite.Apply(c.in); got != c.want {
				t.Errorf("Apply(%q) = %q, want %q", c.in, got, c.want)
			}
			if got := c.rewrite.String(); got != c.text {
				t.Errorf("String() = %q, want %q", got, c.text)
			}
		})
	}
}
