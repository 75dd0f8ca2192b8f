package exits

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/rig"
)

const (
	reproducePort     = "1430" // where the rig's own program is started for it
	reproduceSessions = 5
)

// clientInfo is what a client of a run does, as far as a reader needs it to do the same.
type clientInfo struct {
	User    string `json:"user"` // of the first session
	Mailbox string `json:"mailbox"`
	Message int    `json:"message"` // number of a large one, 0 = there is none
}

func (o *runOptions) clientInfo(mail mailbox) clientInfo {
	return clientInfo{User: o.newClient(1).user, Mailbox: mail.name, Message: mail.message}
}

// recipe is how to see a fault with a client of one's own.
type recipe struct {
	Mode   string
	Fault  string // by name
	Before string // what has to run first, "" = nothing
	Script string // Python, standard library only
	Shows  string // what it prints
	Remedy string // what to change in the server, "" = not known
}

const recipeHead = `import os, socket, subprocess, time
HOST, PORT, USER, stay = %s, %s, %s, []
PASSWORD = os.environ.get("IMAP_PASSWORD", "secret")
def say(s, text, want=b""):
    s.sendall(text.encode())
    got = part = b"-"
    while part and want not in got:
        part = s.recv(65536)
        got += part
for i in range(%d):
    s = socket.create_connection((HOST, PORT), 10)
`

// recipeTail is the same for every ending. The server has time to close.
const recipeTail = `time.sleep(10)
subprocess.run(["ss", "-Htan", "state", "%s", "sport", "=", ":%%d" %% PORT])
`

// recipeFor returns how to see what the verdict says, false for one on which there is nothing to see.
func recipeFor(r *runResult, v verdict) (recipe, bool) {
	if v.Mode == modeHanging {
		return recipe{}, false // what hangs does so once the sessions are open, which takes more than a client
	}
	ts, _ := tracesOf(r, v.Mode)
	for _, name := range v.Decisive {
		steps := recipeSteps(name, r.Client)
		if t := ts[name]; steps == nil || !t.left() && !t.late && !t.wasOpen {
			continue
		}
		state := wire.StateCloseWait
		if name == "backend-says-bye" {
			state = wire.StateEstablished
		}
		host, port := r.Backend.at()
		script := fmt.Sprintf(recipeHead, strconv.QuoteToASCII(host), port, strconv.QuoteToASCII(r.Client.User),
			reproduceSessions)
		for _, step := range steps {
			script += "    " + step + "\n"
		}
		script += fmt.Sprintf(recipeTail, strings.ToLower(strings.ReplaceAll(string(state), "_", "-")))
		return recipe{v.Mode, v.Fault, r.Backend.start(v.Mode), script, ts[name].shows(state), remedies[v.Fault]}, true
	}
	return recipe{}, false
}

// recipeSteps returns what a session does from its connection on, nil for an ending that takes more than a client.
func recipeSteps(ending string, c clientInfo) []string {
	greeting := `say(s, "", b"* OK")`
	login := `say(s, 'a LOGIN "%s" "%s"\r\n' % (USER, PASSWORD), b"a OK")`
	choose := python("b SELECT " + rig.Quoted(c.Mailbox) + "\r\n")
	selected := []string{greeting, login, fmt.Sprintf(`say(s, %s, b"b OK")`, choose)}
	fetch := python(fmt.Sprintf("c FETCH %d BODY.PEEK[]\r\n", c.Message))
	appended := func(size int) []string {
		return append(selected, fmt.Sprintf(`say(s, %s, b"+")`,
			python(fmt.Sprintf("c APPEND %s {%d}\r\n", rig.Quoted(c.Mailbox), size))),
			fmt.Sprintf(`s.sendall(b"x" * %d)`, size/2), "s.close()")
	}
	steps := map[string][]string{
		"before-login":     {greeting, "s.close()"},
		"idle":             append(selected, "s.close()"),
		"in-idle":          append(selected, `say(s, "c IDLE\r\n", b"+")`, "s.close()"),
		"mid-append":       appended(smallLiteral),
		"mid-append-large": appended(largeLiteral),
		"mid-fetch":        append(selected, fmt.Sprintf(`say(s, %s, b"FETCH")`, fetch), "s.close()"),
		"stalled-fetch": append(selected, fmt.Sprintf(`say(s, %s, b"FETCH"); s.settimeout(3)`, fetch), "try:",
			"    while s.recv(65536): pass", "except OSError: s.close()"),
		"unanswered": append(selected, fmt.Sprintf(`say(s, %s)`, fetch), "s.close()"),
		"logout": append(selected, `s.sendall(b"c LOGOUT\r\n")`, "time.sleep(1)",
			"s.close()"),
		"half-close":           append(selected, "s.shutdown(socket.SHUT_WR)", "stay.append(s)"),
		"login-refused":        {greeting, `say(s, 'a LOGIN "%s" "wrong"\r\n' % USER, b"a NO")`, "s.close()"},
		"backend-never-greets": {"s.close()"},
		"mid-login":            {greeting, `s.sendall(b'a LOGIN "%b" "x"\r\n' % USER.encode())`, "s.close()"},
		"backend-says-bye":     {greeting, login, fmt.Sprintf(`say(s, %s, b"* BYE")`, choose), "stay.append(s)"},
	}
	return steps[ending]
}

// python writes a string as Python and Go do.
func python(text string) string { return strconv.QuoteToASCII(text) }

// shows says what the script prints.
func (t trace) shows(state wire.State) string {
	switch {
	case t.unread():
		return fmt.Sprintf("%d sockets in %s, Recv-Q 1 or more: the end of input is not read", reproduceSessions, state)
	case t.read():
		return fmt.Sprintf("%d sockets in %s, Recv-Q 0: the end of input is read, and close() forgotten",
			reproduceSessions, state)
	case t.late:
		return fmt.Sprintf("%d sockets in %s until the server has read on", reproduceSessions, state)
	case t.open > 0 || t.wasOpen:
		return fmt.Sprintf("%d sockets in %s", reproduceSessions, state)
	}
	return "what is left; a descriptor without a socket is seen only in /proc/PID/fd of the server"
}

// at returns the host and the port that a script connects to.
func (b backendInfo) at() (host, port string) {
	if host, port, err := net.SplitHostPort(b.Address); err == nil {
		return host, port
	}
	return "127.0.0.1", reproducePort
}

// start returns how to have the backend there.
func (b backendInfo) start(mode string) string {
	switch {
	case b.Address != "":
		return ""
	case b.Kind == kindJava:
		return fmt.Sprintf("java %s --port %s --mode %s", b.Source, reproducePort, mode)
	}
	command := "imaprig davmail --port " + reproducePort
	if kind := hangingRequest(mode); kind != "" {
		command += " --hang " + string(kind)
	}
	return command
}

// recipes returns one for each verdict that has something to see; of a fault that several modes have, the first.
func recipes(r *runResult, all []verdict) []recipe {
	var list []recipe
	var faults []string
	for _, v := range all {
		if slices.Contains(faults, v.Fault) {
			continue
		}
		if x, ok := recipeFor(r, v); ok {
			list, faults = append(list, x), append(faults, v.Fault)
		}
	}
	return list
}
