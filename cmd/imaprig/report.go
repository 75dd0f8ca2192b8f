package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// report prints the tables and writes the files that were asked for.
func (o *exitsOptions) report(r *runResult, stdout io.Writer) error {
	err := writeTables(stdout, r)
	if o.json != "" {
		err = errors.Join(err, toFile(o.json, r, writeJSON[runResult]))
	}
	if o.html != "" {
		err = errors.Join(err, toFile(o.html, r, writeHTML))
	}
	return err
}

// mayWrite finds out before the run that a file can't be written behind it.
func (o *exitsOptions) mayWrite() error { return mayWrite(o.json, o.html) }

// mayWrite does so for files; "" is none.
func mayWrite(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// writeJSON writes a result of any kind.
func writeJSON[T any](w io.Writer, r *T) error {
	out := json.NewEncoder(w)
	out.SetIndent("", " ")
	return out.Encode(r)
}

func toFile[T any](path string, r *T, write func(io.Writer, *T) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := errors.Join(write(f, r), f.Close()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
