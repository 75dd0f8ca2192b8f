package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxConfigBytes bounds a configuration file: a wrong name, such as a mailbox,
// gets a message instead of the machine's memory.
const maxConfigBytes = 4 << 20

// loadConfig reads a configuration file and checks all that can be checked
// without opening what it names; changes, such as the command line's, come first. The config may only be used when the report
// has not failed.
func loadConfig(file string, changes ...func(*config)) (*config, *report) {
	r := &report{}
	c := &config{}
	text, err := readLimited(file, maxConfigBytes)
	if err != nil {
		r.errorf(place{File: file}, "", "name a readable file with --config", "can't be read: %v", plainPathError(err))
		return c, r
	}
	if parseConfig(file, text, c, r) {
		r.settle()
		for _, change := range changes {
			change(c)
		}
		checkConfig(c, r)
		r.settle()
	}
	return c, r
}

// parseConfig decodes the text of a configuration file; false when it is not
// TOML.
func parseConfig(file, text string, c *config, r *report) bool {
	var table map[string]any
	if _, err := toml.Decode(text, &table); err != nil {
		at := place{File: file, Head: 1}
		if syntax, ok := errors.AsType[toml.ParseError](err); ok {
			at.Head = syntax.Position.Line
			err = errors.New(strings.TrimSuffix(syntax.Message, "."))
		}
		r.errorf(at, "TOML", "mend the syntax first; nothing else has been checked", "%v", err)
		return false
	}
	d := &decoder{file: file, folder: filepath.Dir(file), lines: indexLines(text), report: r}
	d.section(nil, "", table, reflect.ValueOf(c).Elem())
	return true
}

// readLimited reads a file of at most limit bytes.
func readLimited(name string, limit int64) (string, error) {
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

// plainPathError drops the file's name from an error of package os, for
// messages that have named the file already.
func plainPathError(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
