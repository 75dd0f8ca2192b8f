package convert

import (
	"regexp"
	"testing"
	"time"
)

func TestNginxTimes(t *testing.T) {
	good := map[string]time.Duration{
		"0": 0, "60": time.Minute, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1m 30s": 90 * time.Second,
		"1m 30": 90 * time.Second,
		"500ms": 500 * time.Millisecond, "1s500ms": 1500 * time.Millisecond, "1d": 24 * time.Hour,
		"1w": 7 * 24 * time.Hour, "1M": 30 * 24 * time.Hour,
		"1y": 365 * 24 * time.Hour,
	}
	for s, want := range good {
		if got, err := parseNginxTime(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "s", "1s1m", "1m1m", "1x", "-1", "1.5h", "30 1m", "99999999999", "2000000000y",
		" 1"} {
		if got, err := parseNginxTime(s); err == nil {
			t.Errorf("%q: %v, want an error", s, got)
		}
	}
}

func TestNginxSizes(t *testing.T) {
	for s, want := range map[string]int{"0": 0, "4096": 4096, "4k": 4096, "4K": 4096, "1m": 1 << 20, "1M": 1 << 20} {
		if got, err := parseNginxSize(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "k", "4g", "-1", "4 k", "9999999999", "99999999m"} {
		if got, err := parseNginxSize(s); err == nil {
			t.Errorf("%q: %v, want an error", s, got)
		}
	}
}

func TestTOMLTexts(t *testing.T) {
	for s, want := range map[string]string{"a": `"a"`, `a"b\c`: `"a\"b\\c"`, "a\tb\x7f": `"a\u0009b\u007F"`,
		"zoë": `"zoë"`} {
		if got := text(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Hour: `"1h"`, 90 * time.Minute: `"1h30m"`,
		90 * time.Second: `"1m30s"`, time.Second: `"1s"`, 100 * time.Millisecond: `"100ms"`} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// FuzzNginx says that no nginx.conf breaks the reading, and that what is taken
// has the form of a tree.
func FuzzNginx(f *testing.F) {
	for _, s := range []string{"", "a b;", "a { b c; }", "a 'b", `a "b\"c" \;d;`, "a { init_by_lua_block { } }", "}",
		"a # b\n c;", "${a};", "a ${b c};", "{", "a;;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<16 {
			return
		}
		statements, err := parseNginx("nginx.conf", s)
		if err != nil && len(statements) > 0 {
			t.Errorf("both %d statements and %v", len(statements), err)
		}
		for _, s := range statements {
			if len(s.block) > 0 && !s.opens {
				t.Errorf("%s has a block and does not open one", s.name)
			}
		}
	})
}

// FuzzVanessa says that no file breaks the reading of perdition's format.
func FuzzVanessa(f *testing.F) {
	for _, s := range vanessaTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lines, err := readVanessa(s)
		for _, l := range lines {
			if len(l.words) == 0 || l.line < 1 || err != nil {
				t.Errorf("%+v, %v", l, err)
			}
		}
	})
}

// FuzzRegex says that what is taken of a regular expression compiles.
func FuzzRegex(f *testing.F) {
	for _, s := range []string{"^a$", "[]a]", "[^]a-z[:alpha:]]", "a{,2}", "(a|b)*", `\.`, "[[.a.]]", "a{2,3", `[\]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if re2, err := ereToRE2(s); err == nil {
			regexp.MustCompilePOSIX(re2)
		}
	})
}
