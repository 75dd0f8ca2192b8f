//go:build faultpoints && (!linux || goroutines)

package imapproxy

// otherRelay marks the files of the relay that is not built in.
const otherRelay = "//go:build linux && !goroutines"

// loopPoints are none where there is no loop.
var loopPoints map[string]pointTest
