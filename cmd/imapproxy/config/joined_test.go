package config

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestMessages(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	for _, tt := range []struct {
		name string
		err  error
		want []string
	}{
		{"one", a, []string{"a"}},
		{"joined", errors.Join(a, nil, b), []string{"a", "b"}},
		{"a join of one", errors.Join(errors.Join(a, b), nil), []string{"a", "b"}},
		{"one after the other", errors.Join(errors.Join(errors.Join(a), b), c), []string{"a", "b", "c"}},
		{"wrapped", fmt.Errorf("file: %w!", errors.Join(a, errors.Join(b, c))), []string{"file: a!", "file: b!",
			"file: c!"}},
		{"wrapped within", errors.Join(fmt.Errorf("x: %w", errors.Join(a, b)), c), []string{"x: a", "x: b", "c"}},
		{"several in one message", fmt.Errorf("%w after %w", a, b), []string{"a after b"}},
		{"a line's end of its own", errors.New("a\nb"), []string{"a\nb"}},
	} {
		if got := Messages(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestReportOfJoined: no finding is two in one.
func TestReportOfJoined(t *testing.T) {
	r := &Report{}
	r.Errorf(Place{File: "f", Head: 3}, "", "mend it", "%s: %v", "x", errors.Join(errors.New("a"), errors.New("b")))
	var got []string
	for _, f := range r.Sorted() {
		got = append(got, f.String())
	}
	if want := []string{"f:3: error: x: a; mend it", "f:3: error: x: b; mend it"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFindingsByNumber: the findings about a file stand in the order of its lines.
func TestFindingsByNumber(t *testing.T) {
	r := &Report{}
	for _, text := range []string{"map:10: x", "map:9: x", "map:9: b", "map: x", "map:100: x", "map:9", "ma",
		"map:1x"} {
		r.Warnf(Place{File: "f", Head: 1}, "", "", "%s", text)
	}
	want := []string{"ma", "map: x", "map:1x", "map:9", "map:9: b", "map:9: x", "map:10: x", "map:100: x"}
	for i, f := range r.Sorted() {
		if f.Text != want[i] {
			t.Errorf("%d: %q, want %q", i, f.Text, want[i])
		}
	}
}
