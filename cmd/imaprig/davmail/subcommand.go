package davmail

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"imapproxy/cmd/imaprig/rig"
)

const help = `usage: imaprig davmail [flags]

Runs Debian's DavMail, an IMAP server in Java, with a stand-in for Exchange, until it is interrupted: to look at its
faults with clients of one's own. Any user may log in, with any password except "wrong".

Exit code: 0 it was interrupted, 1 the run failed, 2 wrong usage.

`

// Run runs the subcommand davmail and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := rig.NewFlags("davmail")
	port := flags.Uint("port", 1430, "the `PORT` of 127.0.0.1 where DavMail listens")
	hang := flags.String("hang", "", "what Exchange does not answer, `KINDS` separated by commas: "+kindNames())
	if err := rig.ParseFlags(flags, args, help, stdout); err != nil {
		return rig.Failed(stderr, "davmail", rig.WrongInput(err))
	}
	kinds, err := kindsOf(*hang)
	if err == nil && (*port < 1 || *port > 65535) {
		err = fmt.Errorf("--port %d: want 1 to 65535", *port)
	}
	if err != nil {
		return rig.Failed(stderr, "davmail", rig.WrongInput(err))
	}
	server, err := Start(ctx, Options{Port: uint16(*port), Messages: []int{2 << 20}})
	if err != nil {
		return rig.Failed(stderr, "davmail", rig.WrongInput(err))
	}
	if len(kinds) > 0 {
		server.Hang(kinds...)
	}
	_, _ = fmt.Fprintf(stdout, "DavMail listens on %s, process %d\n", server.Addr(), server.PID())
	<-ctx.Done()
	return rig.Failed(stderr, "davmail", server.Stop())
}

// kindsOf reads a list of kinds.
func kindsOf(text string) ([]Request, error) {
	var kinds []Request
	for _, name := range rig.SplitList(text) {
		if !slices.Contains(Requests(), Request(name)) {
			return nil, fmt.Errorf("--hang %q: want of %s", name, kindNames())
		}
		kinds = append(kinds, Request(name))
	}
	return kinds, nil
}

func kindNames() string {
	var names []string
	for _, k := range Requests() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}
