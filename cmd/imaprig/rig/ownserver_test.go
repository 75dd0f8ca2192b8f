package rig

import (
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestReadListening(t *testing.T) {
	addrs, err := readListening(strings.NewReader("listening on 127.0.0.1:1\nlistening on http://127.0.0.1:2\n"), 2)
	if err != nil || len(addrs) != 2 || addrs[1] != rigtest.Addr("127.0.0.1:2") {
		t.Errorf("%v, %v", addrs, err)
	}
	_, err = readListening(strings.NewReader("listening on 127.0.0.1:1\n"), 2)
	rigtest.CheckError(t, err, "does not say where")
	_, err = readListening(strings.NewReader("panic: no\n"), 1)
	rigtest.CheckError(t, err, "panic: no")
}
