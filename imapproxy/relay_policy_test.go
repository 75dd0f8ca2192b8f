package imapproxy

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyRefused sends more refused commands at once than may wait for answers,
// while the backend has nothing to say.
func TestManyRefused(t *testing.T) {
	for _, listener := range []string{"plain", "tls"} {
		t.Run(listener, func(t *testing.T) {
			r := newRig(t)
			c := r.login(listener, "joe")
			const many = 3500
			var said strings.Builder
			for i := range many {
				fmt.Fprintf(&said, "t%d STARTTLS\r\n", i)
			}
			c.write(said.String())
			for i := range many {
				c.expectLine(fmt.Sprintf("t%d BAD TLS begins before the login", i))
			}
			c.send("x LOGOUT")
			c.until("x")
			c.expectEOF()
			r.endsWith(c, endLogout)
		})
	}
}
