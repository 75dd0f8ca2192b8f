//go:build faultpoints

package imapproxy

import "strings"

// loopPoints are the fault points of the loop.
var loopPoints = map[string]pointTest{
	"loop.round": {armed: inRelay, reach: thenSays("a NOOP"), goesOn: true},
	"loop.event": {armed: inRelay, reach: thenSays("a NOOP")},
	"loop.splice": {armed: inRelay, reach: func(p *pointRig) {
		p.c.write("a APPEND INBOX {300000+}\r\n")
		_, _ = p.c.conn.Write([]byte(strings.Repeat("m", 300000))) // the end comes in the middle of it
	}},
}
