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
		err = errors.Join(err, toFile(o.json, r, writeJSON))
	}
	if o.html != "" {
		err = errors.Join(err, toFile(o.html, r, writeHTML))
	}
	return err
}

// mayWrite finds out before the run that a file can't be written behind it.
func (o *exitsOptions) mayWrite() error {
	for _, path := range []string{o.json, o.html} {
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

func writeJSON(w io.Writer, r *runResult) error {
	out := json.NewEncoder(w)
	out.SetIndent("", " ")
	return out.Encode(r)
}

func toFile(path string, r *runResult, write func(io.Writer, *runResult) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := errors.Join(write(f, r), f.Close()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
