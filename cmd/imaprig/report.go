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
