package imapproxy

import (
	"strconv"
	"strings"
)

// mailbox is a backend that behaves: AUTHENTICATE PLAIN, then commands.
func mailbox(c *backendConn) {
	if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
		c.serve()
	}
}

// loginOnly is a backend that takes only LOGIN.
func loginOnly(c *backendConn) {
	if c.greet("IMAP4rev1") {
		c.serve()
	}
}

// serve answers commands until LOGOUT or the end. FETCH n gives a literal of n
// bytes, FETCH last the last one that came; IDLE runs until DONE; CLOSE and RESET end the connection; WAIT is
// not answered; a literal's bytes are taken.
func (c *backendConn) serve() {
	for {
		line, good := c.line()
		if !good {
			return
		}
		tag, rest, _ := strings.Cut(line, " ")
		name, argument, _ := strings.Cut(rest, " ")
		if !c.literals(line) {
			return
		}
		switch strings.ToUpper(name) {
		case "FETCH":
			n, _ := strconv.Atoi(argument)
			body := strings.Repeat("m", n)
			if argument == "last" {
				body = c.stored
			}
			c.write("* 1 FETCH (BODY[] {" + strconv.Itoa(len(body)) + "}\r\n" + body + ")\r\n")
			c.send("%s OK FETCH completed", tag)
		case "IDLE":
			c.send("+ idling")
			if done, _ := c.line(); !strings.EqualFold(done, "DONE") {
				return
			}
			c.send("%s OK IDLE completed", tag)
		case "CLOSE":
			c.close()
			return
		case "RESET":
			c.reset()
			return
		case "WAIT":
		case "LOGOUT":
			c.send("* BYE see you\r\n%s OK LOGOUT completed", tag)
			c.close()
			return
		default:
			c.send("%s OK %s completed", tag, name)
		}
	}
}

// literals reads a command's literals; false at the connection's end.
func (c *backendConn) literals(line string) bool {
	for {
		at := strings.LastIndex(line, "{")
		if at < 0 || !strings.HasSuffix(line, "}") {
			return true
		}
		size := line[at+1 : len(line)-1]
		n, err := strconv.Atoi(strings.TrimSuffix(size, "+"))
		if err != nil {
			return true
		}
		if !strings.HasSuffix(size, "+") {
			c.send("+ go on")
		}
		if c.stored = c.literal(n); len(c.stored) < n {
			return false
		}
		var good bool
		if line, good = c.line(); !good {
			return false
		}
	}
}
