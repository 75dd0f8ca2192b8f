package convert

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nginxinc/nginx-go-crossplane"
)

// statement is one directive of nginx.conf, with what is in its block.
type statement struct {
	name  string
	args  []string
	file  string // relative to the main file's folder where it lies below it
	line  int
	opens bool // it has a block
	block []*statement
}

// secretArgs returns how many of a directive's arguments a report may show, and
// whether the others are secret.
func secretArgs(name string) (shown int, secret bool) {
	if name == "auth_http_header" {
		return 1, true
	}
	return 0, strings.HasSuffix(name, "password")
}

// show returns the directive as it is written, shortened.
func (s *statement) show() string {
	words := append([]string{s.name}, s.args...)
	if keep, secret := secretArgs(s.name); secret && len(s.args) > keep {
		words = append(words[:1+keep:1+keep], "(not shown)")
	}
	return shorten(strings.Join(words, " "))
}

// place returns where the directive stands, for a comment.
func (s *statement) place() string { return fmt.Sprintf("%s:%d", s.file, s.line) }

// from is the comment that says which directive a setting came from.
func (s *statement) from() string { return fmt.Sprintf("%s (%s)", s.name, s.place()) }

// The bounds of what is read: deeper is a loop of includes or no nginx.conf.
const (
	maxNesting  = 32
	maxIncludes = 16
	maxConfs    = 2000
)

// badConf is an error with its place in the file.
type badConf struct {
	file string
	line int
	text string
}

func (e *badConf) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.text) }

// nginxReader reads nginx.conf and what it includes.
type nginxReader struct {
	folder string // of the main file: relative names are meant from there
	read   int    // files so far
}

// readNginx reads the main file, with the includes that stand outside http{}
// and stream{} in their place.
func readNginx(file string) ([]*statement, error) {
	r := &nginxReader{folder: filepath.Dir(file)}
	return r.file(file, 0)
}

// file reads one file; depth is how many files include each other.
func (r *nginxReader) file(name string, depth int) ([]*statement, error) {
	shown := r.shown(name)
	if r.read++; r.read > maxConfs {
		return nil, &badConf{shown, 1, fmt.Sprintf("more than %d files are included", maxConfs)}
	}
	text, err := readText(name)
	if err != nil {
		return nil, err
	}
	statements, err := parseNginx(shown, text)
	if err != nil {
		return nil, err
	}
	return r.include(statements, depth)
}

// shown shortens a file's name for people.
func (r *nginxReader) shown(name string) string {
	if rel, err := filepath.Rel(r.folder, name); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return name
}

// notFollowed are blocks that belong only to nginx. Their includes are not
// read, so that a nginx.conf converts on a machine without nginx's web files.
var notFollowed = []string{"http", "stream", "mgmt"}

// include puts the statements of included files in the place of each include.
// The nesting is bounded by parseNginx and maxIncludes.
func (r *nginxReader) include(in []*statement, depth int) ([]*statement, error) {
	var out []*statement
	for _, s := range in {
		if s.opens && !slices.Contains(notFollowed, s.name) {
			block, err := r.include(s.block, depth)
			if err != nil {
				return nil, err
			}
			s.block = block
		}
		if s.name != "include" {
			out = append(out, s)
			continue
		}
		more, err := r.included(s, depth)
		if err != nil {
			return nil, err
		}
		out = append(append(out, s), more...) // the include itself stays, for its finding
	}
	return out, nil
}

// included reads the files that an include names: a pattern that matches
// nothing is fine, a plain name must be there.
func (r *nginxReader) included(s *statement, depth int) ([]*statement, error) {
	if len(s.args) != 1 || s.opens {
		return nil, &badConf{s.file, s.line, `invalid number of arguments in "include" directive`}
	}
	if depth >= maxIncludes {
		return nil, &badConf{s.file, s.line,
			fmt.Sprintf("more than %d files include each other: is there a loop?", maxIncludes)}
	}
	name := within(r.folder, s.args[0])
	names := []string{name}
	if strings.ContainsAny(name, "*?[") {
		var err error
		if names, err = filepath.Glob(name); err != nil {
			return nil, &badConf{s.file, s.line, fmt.Sprintf("include %s: %v", s.args[0], err)}
		}
	}
	var all []*statement
	for _, name := range names {
		more, err := r.file(name, depth+1)
		if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			return nil, &badConf{s.file, s.line, fmt.Sprintf("include %s can't be read: %v", s.args[0], pathErr.Err)}
		}
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// parseNginx builds the tree of one file from crossplane's tokens.
func parseNginx(file, text string) ([]*statement, error) {
	lua := crossplane.Lua{}
	tokens := crossplane.LexWithOptions(strings.NewReader(text),
		crossplane.LexOptions{Lexers: []crossplane.RegisterLexer{lua.RegisterLexer()}})
	t := &nginxTree{file: file, open: []*statement{{}}}
	var first error
	for token := range tokens { // to the end, so that the lexer's goroutine ends
		if first == nil {
			first = t.add(token)
		}
	}
	switch {
	case first != nil:
		return nil, first
	case t.pending != nil:
		return nil, &badConf{file, t.pending.line,
			fmt.Sprintf(`unexpected end of file, expecting ";" or "{" after %q`, t.pending.name)}
	}
	return t.open[0].block, nil
}

// nginxTree is a file that is being parsed. open holds the blocks that are
// open, the outermost first.
type nginxTree struct {
	file    string
	open    []*statement
	pending *statement // a directive whose end has not come
}

// add takes one token.
func (t *nginxTree) add(token crossplane.NgxToken) error {
	if token.Error != nil {
		what := token.Error.Error()
		if parse, ok := errors.AsType[*crossplane.ParseError](token.Error); ok {
			what = parse.What
		}
		return &badConf{t.file, token.Line, what}
	}
	switch {
	case !token.IsQuoted && strings.HasPrefix(token.Value, "#"):
		return nil
	case !token.IsQuoted && (token.Value == ";" || token.Value == "{"):
		return t.end(token)
	case !token.IsQuoted && token.Value == "}":
		if t.pending != nil {
			return &badConf{t.file, token.Line,
				fmt.Sprintf(`unexpected "}" after %q: a ";" is missing, or a value with "}" needs quotes`,
					t.pending.name)}
		}
		if len(t.open) == 1 {
			return &badConf{t.file, token.Line, `unexpected "}"`}
		}
		t.open = t.open[:len(t.open)-1]
	case t.pending == nil:
		t.pending = &statement{name: unescape(token.Value), file: t.file, line: token.Line}
	default:
		t.pending.args = append(t.pending.args, unescape(token.Value))
	}
	return nil
}

// end closes a directive with ";" or opens its block with "{".
func (t *nginxTree) end(token crossplane.NgxToken) error {
	s := t.pending
	if s == nil {
		return &badConf{t.file, token.Line, fmt.Sprintf("unexpected %q", token.Value)}
	}
	t.pending = nil
	parent := t.open[len(t.open)-1]
	parent.block = append(parent.block, s)
	if token.Value == "{" {
		if len(t.open) > maxNesting {
			return &badConf{t.file, token.Line, fmt.Sprintf("blocks nest deeper than %d", maxNesting)}
		}
		s.opens = true
		t.open = append(t.open, s)
	}
	return nil
}

// unescape resolves what nginx does in every token, quoted or not: \" \' \\ \t
// \r \n; any other backslash stays (core/ngx_conf_file.c).
func unescape(token string) string {
	if !strings.Contains(token, `\`) {
		return token
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '\\' || i+1 == len(token) {
			b.WriteByte(token[i])
			continue
		}
		switch next := token[i+1]; next {
		case '"', '\'', '\\':
			b.WriteByte(next)
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		default:
			b.WriteByte('\\')
			b.WriteByte(next)
		}
		i++
	}
	return b.String()
}
