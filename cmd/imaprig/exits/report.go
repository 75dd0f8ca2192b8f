package exits

import (
	"errors"
	"io"

	"imapproxy/cmd/imaprig/rig"
)

// report prints the result and writes the files that were asked for.
func (o *options) report(r *runResult, stdout io.Writer) error {
	r.Verdicts = verdicts(r)
	err := writeText(stdout, r)
	if o.json != "" {
		err = errors.Join(err, rig.WriteFile(o.json, r, rig.WriteJSON[runResult]))
	}
	if o.html != "" {
		err = errors.Join(err, rig.WriteFile(o.html, r, writeHTML))
	}
	return err
}

// mayWrite returns an error, before the run, when a file can't be written after it.
func (o *options) mayWrite() error { return rig.CheckWritable(o.json, o.html) }
