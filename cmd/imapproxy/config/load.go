package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// MaxBytes bounds a configuration file: a wrong name, such as a mailbox,
// gets a message instead of the machine's memory.
const MaxBytes = 4 << 20

// Load reads a configuration file and checks all that can be checked without
// opening what it names; changes, such as the command line's, come first. The
// result may only be used when the report has not failed.
func Load(file string, changes ...func(*File)) (*File, *Report) {
	text, err := ReadLimited(file, MaxBytes)
	if err != nil {
		r := &Report{}
		remedy := "name a readable file with --config"
		if errors.Is(err, fs.ErrPermission) {
			what, command := denied(file)
			err, remedy = errors.New("permission denied: "+what), "as root: "+command
		}
		r.Errorf(Place{File: file}, "", remedy, "can't be read: %v", PlainPathError(err))
		return &File{}, r
	}
	return LoadText(file, text, changes...)
}

// LoadText is Load for the text of a file that need not be there yet.
func LoadText(file, text string, changes ...func(*File)) (*File, *Report) {
	r := &Report{}
	c := &File{}
	if parse(file, text, c, r) {
		r.settle()
		for _, change := range changes {
			change(c)
		}
		check(c, r)
		r.settle()
	}
	return c, r
}

// parse decodes the text of a configuration file; false when it is not
// TOML.
func parse(file, text string, c *File, r *Report) bool {
	var table map[string]any
	if _, err := toml.Decode(text, &table); err != nil {
		at := Place{File: file, Head: 1}
		what, remedy := "", "mend the syntax first"
		if syntax, ok := errors.AsType[toml.ParseError](err); ok {
			at.Head = syntax.Position.Line
			what = strings.TrimSuffix(syntax.Message, ".")
			if own, known := mend(lineOf(text, at.Head)); own != "" {
				what, remedy = own, known
			} else if strings.HasSuffix(what, "has already been defined") {
				remedy = "remove one of them"
			}
		}
		if what == "" {
			what = err.Error()
		}
		r.Errorf(at, "TOML", remedy+"; nothing else has been checked", "%s", what)
		return false
	}
	d := &decoder{file: file, folder: filepath.Dir(file), lines: indexLines(text), report: r}
	d.section(nil, "", table, reflect.ValueOf(c).Elem())
	return true
}

// lineOf returns the line with a number, "" where there is none.
func lineOf(text string, number int) string {
	for line := range strings.Lines(text) {
		if number--; number == 0 {
			return strings.TrimRight(line, "\r\n")
		}
	}
	return ""
}

// ReadLimited reads a file of at most limit bytes.
func ReadLimited(name string, limit int64) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(text)) > limit {
		return "", fmt.Errorf("it is longer than %d bytes", limit)
	}
	return string(text), nil
}

// PlainPathError drops the file's name from an error of package os, for messages that have
// named the file already. A missing permission is explained.
func PlainPathError(err error) error {
	pathErr, ok := errors.AsType[*os.PathError](err)
	switch {
	case ok && errors.Is(err, fs.ErrPermission):
		what, command := denied(pathErr.Path)
		return fmt.Errorf("%w: %s; as root: %s", pathErr.Err, what, command)
	case ok:
		return pathErr.Err
	}
	return err
}
