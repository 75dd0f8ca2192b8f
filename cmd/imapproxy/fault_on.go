//go:build faultpoints

package main

import (
	"os"
	"path/filepath"

	"imapproxy/backend/fault"
)

// faultFolder is the environment variable that names a folder: a file in it,
// named like a fault point, makes the next passage of that point panic, once.
const faultFolder = "IMAPPROXY_FAULTS"

// armFaults lets tests of the whole process panic where they like. Programs
// built without the tag faultpoints have nothing of it.
func armFaults() {
	folder := os.Getenv(faultFolder)
	if folder == "" {
		return
	}
	point := func(name string) {
		if os.Remove(filepath.Join(folder, name)) == nil {
			panic("fault point " + name)
		}
	}
	fault.Handler.Store(&point)
}
