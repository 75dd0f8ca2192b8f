package rig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// CheckWritable returns an error, before a run, when a file can't be written after it; "" is no file.
func CheckWritable(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return WrongInput(fmt.Errorf("the report can't be written: %w", err))
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// WriteJSON writes a result of any kind.
func WriteJSON[T any](w io.Writer, r *T) error {
	out := json.NewEncoder(w)
	out.SetIndent("", " ")
	return out.Encode(r)
}

// WriteFile writes a result to a file.
func WriteFile[T any](path string, r *T, write func(io.Writer, *T) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := errors.Join(write(f, r), f.Close()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
