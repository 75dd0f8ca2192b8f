package config

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// trickyTOML has a key whose value is its own line's number wherever the
// grammar makes that hard.
const trickyTOML = "\ufeff" + `a = 1 # [x]
"b.c" = 2
d.e = 3
s = """
a = 5
[no]
""" # closed
t = 8
u = '''it''s ''''' 
v = 10
w = ["[", "x = 1", # b = 2
  "]", { p = 12 }, {
    q = 13 } ]
x = 14
[tab]
k = 16
"q\"]k" = 17
[[list]]
k = 19
sub.k = 20
[list.sub2]
k = 22
[[list]]
k = 24
in = { a = 25, b = { c = 25 }, d = [25, 25] }
[[list.deep]]
k = 27
[[list.deep]]
k = 29
[tab.'lit.eral']
k = 31
[[other]]
  date = 2024-01-01T00:00:00Z
	k = 34
esc = "\\" # "
k2 = 36
multi = """\
  x = 1 \""" """
k3 = 39
q4 = """"quoted""""
k4 = 41`

func TestIndexLines(t *testing.T) {
	var parsed map[string]any
	if _, err := toml.Decode(trickyTOML, &parsed); err != nil {
		t.Fatal(err)
	}
	found := indexLines(trickyTOML)
	numbers := 0
	walkTOML(parsed, nil, func(path []string, value any) {
		line, ok := found[joinPath(path...)]
		if !ok {
			t.Errorf("%q is not found", path)
		}
		if n, isNumber := value.(int64); isNumber {
			numbers++
			if int64(line) != n {
				t.Errorf("%q: line %d, want %d", path, line, n)
			}
		}
	})
	if numbers < 20 {
		t.Errorf("only %d numbers seen", numbers)
	}
}

// walkTOML calls f for everything inside a parsed text.
func walkTOML(value any, path []string, f func(path []string, value any)) {
	if len(path) > 0 {
		f(path, value)
	}
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range maps.All(v) {
			walkTOML(inner, extend(path, key), f)
		}
	case []map[string]any:
		for i, inner := range v {
			walkTOML(inner, extend(path, strconv.Itoa(i)), f)
		}
	case []any:
		for i, inner := range v {
			walkTOML(inner, extend(path, strconv.Itoa(i)), f)
		}
	}
}

// FuzzIndexLines: whatever the parser accepts, every key has a line inside the
// text; and no text makes the index panic or hang.
func FuzzIndexLines(f *testing.F) {
	f.Add(trickyTOML)
	f.Add(Example())
	f.Add("a = " + strings.Repeat("[", 100_000))
	f.Add("a" + strings.Repeat(".a", 100_000) + " = 1")
	f.Add("a=1\r\nb.c=[\r\n1,\r\n]\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		found := indexLines(text)
		var parsed map[string]any
		if len(text) > 4096 {
			return
		}
		if _, err := toml.Decode(text, &parsed); err != nil {
			return
		}
		lines := 1
		for _, c := range text {
			if c == '\n' {
				lines++
			}
		}
		walkTOML(parsed, nil, func(path []string, _ any) {
			if line := found[joinPath(path[:min(len(path), maxDepth)]...)]; line < 1 || line > lines {
				t.Errorf("%q: line %d of %d", path, line, lines)
			}
		})
	})
}
