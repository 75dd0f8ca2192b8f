package exits

import (
	"context"
	"fmt"
	"io"
	"slices"

	"imapproxy/cmd/imaprig/rig"
)

const closeWaitHelp = `usage: imaprig closewait [flags]

Shows in half a minute, and without Java, how sockets in CLOSE_WAIT come to a server whose clients are gone: a faulty
server in memory, behind nginx and behind imapproxy, with clients that end in three ways. The subcommand exits has more
faults, endings and targets.

Exit code: 0 imapproxy leaves none, 1 it does or the run failed, 2 wrong usage.

`

// RunCloseWait runs the subcommand closewait and returns its exit code.
func RunCloseWait(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseCloseWait(args, stdout)
	if err != nil {
		return rig.Failed(stderr, "closewait", rig.WrongInput(err))
	}
	left, err := o.showCloseWait(ctx, stdout)
	if err == nil && left > 0 {
		return rig.ExitFailed
	}
	return rig.Failed(stderr, "closewait", err)
}

func parseCloseWait(args []string, stdout io.Writer) (*runOptions, error) {
	o := &runOptions{user: "rig%d", password: "secret"}
	flags := rig.NewFlags("closewait")
	flags.Var(&o.peers, "peer", "compare imapproxy with these proxies, `NAMES` separated by commas; direct is none "+
		"(without it: nginx)")
	flags.StringVar(&o.self, "self", "", "imapproxy's program `FILE` (without it: next to this one, or "+
		"bin/imapproxy)")
	flags.IntVar(&o.sessions, "sessions", 20, fmt.Sprintf("the `NUMBER` of clients of each kind, 1 to %d",
		maxSessions))
	if err := rig.ParseFlags(flags, args, closeWaitHelp, stdout); err != nil {
		return nil, err
	}
	if len(o.peers) == 0 {
		o.peers = nameList{rig.NginxPeer().Name}
	}
	o.peers = append(slices.DeleteFunc(o.peers, func(name string) bool { return name == rig.OwnProxy }), rig.OwnProxy)
	return o, o.check()
}

// closeWaitStory is how clients end, in which the server's fault shows.
type closeWaitStory struct {
	clients string // what they do
	ending  string
	hangs   bool // so does the server, before they end
}

func closeWaitStories() []closeWaitStory {
	return []closeWaitStory{
		{"close without LOGOUT, as phones do", "idle", false},
		{"have a wrong password, and close", "login-refused", false},
		{"close while the server hangs", "idle", true},
	}
}

const closeWaitHead = `The server is a faulty one in memory: LOGOUT ends a session, but it does not notice that a
client has closed. Through each proxy come %d clients, and go. How many of the server's sockets stay in
CLOSE_WAIT?

`

const closeWaitRow = "%-36s  %-12s  %-11v  %v\n"

// showCloseWait prints a row for each story and proxy, and returns how many sockets imapproxy leaves.
func (o *runOptions) showCloseWait(ctx context.Context, w io.Writer) (left int, err error) {
	for _, name := range o.peers { // before anything is printed
		if name == proxyDirect {
			continue
		}
		p, err := rig.FindPeer(name, o.self)
		if err == nil {
			_, err = p.Program()
		}
		if err != nil {
			return 0, err
		}
	}
	fmt.Fprintf(w, closeWaitHead, o.sessions)
	versions := map[string]string{}
	fmt.Fprintf(w, closeWaitRow, "THE CLIENTS", "COME THROUGH", "CONNECTIONS", "THEN IN CLOSE_WAIT")
	for _, story := range closeWaitStories() {
		for i, name := range o.peers {
			r, err := o.runStory(ctx, name, story)
			if err != nil {
				return left, fmt.Errorf("%s: %w", name, err)
			}
			clients := story.clients
			if i > 0 {
				clients = ""
			}
			versions[name] = r.version
			fmt.Fprintf(w, closeWaitRow, clients, name, r.accepted, r)
			if name == rig.OwnProxy {
				left += r.closeWait.Sockets
			}
		}
	}
	fmt.Fprint(w, closeWaitMeaning)
	for _, name := range o.peers {
		fmt.Fprintf(w, "\n%s", nameAndVersion(name, versions[name]))
	}
	fmt.Fprintln(w)
	return left, nil
}

const closeWaitMeaning = `
A socket in CLOSE_WAIT is one that the client's side has closed and the server's program has not. No timeout ends it:
on a server they pile up until no descriptor is left. imapproxy says LOGOUT for a client that did not, waits for the
server to close, and resets the connection of one that does not within 2 s. What it can't do: a program that hangs
keeps its descriptor until it goes on. docs/close-wait.md has the rest.
`
