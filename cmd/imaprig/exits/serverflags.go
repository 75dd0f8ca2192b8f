package exits

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// passwordVariable is where a password is taken from that is not to be seen in the list of processes.
const passwordVariable = "IMAPRIG_PASSWORD"

// serverOptions are the flags that say what the backend is.
type serverOptions struct {
	kind         string // of backend
	server       string // address of one that runs already, "" for the others
	serverPID    int    // its first process, 0 = not known
	mailbox      string
	passwordFile string
	given        map[string]bool // flags that were given
	patience     time.Duration   // for one answer when the server is examined
}

func (o *serverOptions) addTo(flags *flag.FlagSet) {
	flags.StringVar(&o.kind, "backend", kindJava, "the `KIND` of backend that is started: java is our own "+
		"program, with faults that are chosen by --modes; davmail is Debian's package, with a stand-in for Exchange")
	flags.StringVar(&o.server, "server", "", "test the server at `HOST:PORT`, which runs already, instead of "+
		"starting one; with --user and its password. Each session logs in there, by LOGIN in clear")
	flags.IntVar(&o.serverPID, "server-pid", 0, "with --server: the `PID` of its first process, to count "+
		"descriptors in it and its children; its sockets are read in its network namespace, that of a container too")
	flags.StringVar(&o.mailbox, "mailbox", "INBOX", "with --server: `NAME` of the mailbox that is selected; mid-fetch "+
		"needs a message of 1 MB in it; nothing is stored")
	flags.StringVar(&o.passwordFile, "password-file", "", "read the password from the first line of `FILE` (without "+
		"it: from the environment's "+passwordVariable+", where that is set)")
}

// sessionsOfServer is how many sessions a cell has, unless the user says so, for a server that other people may use.
const sessionsOfServer = 20

// checkServer returns an error for options of backends that exclude each other, and finds the password.
func (o *runOptions) checkServer(flags *flag.FlagSet) error {
	o.patience = examineLimit
	o.given = map[string]bool{}
	flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	switch {
	case o.kind != kindJava && o.kind != kindDavMail:
		return fmt.Errorf("--backend %q: want java or davmail", o.kind)
	case o.server == "" && (o.given["server-pid"] || o.given["mailbox"]):
		return errors.New("--server-pid and --mailbox go with --server")
	case o.server != "" && (o.given["backend"] || o.given["backend-port"] || o.given["java-backend"]):
		return errors.New("--server is the backend: want no --backend, --backend-port and --java-backend")
	case o.serverPID < 0:
		return fmt.Errorf("--server-pid %d: want a process id", o.serverPID)
	case o.mailbox == "" || strings.ContainsAny(o.mailbox, "\r\n\x00"):
		return errors.New("--mailbox: want a name without line ends and NUL")
	}
	if o.server != "" {
		o.kind = kindServer
		if _, _, err := net.SplitHostPort(o.server); err != nil {
			return fmt.Errorf("--server %q: want host:port, of an IPv6 address [::1]:143", o.server)
		}
	}
	if o.kind != kindJava && !o.given["sessions"] {
		o.sessions = sessionsOfServer
	}
	return o.findPassword()
}

// findPassword takes it from where it was given.
func (o *runOptions) findPassword() error {
	fromEnv, isSet := os.LookupEnv(passwordVariable)
	switch {
	case o.given["password"] && o.passwordFile != "":
		return errors.New("--password and --password-file: want one of them")
	case o.passwordFile != "":
		text, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		o.password, _, _ = strings.Cut(string(text), "\n")
		o.password = strings.TrimSuffix(o.password, "\r")
	case isSet && !o.given["password"]:
		o.password = fromEnv
	case o.server != "" && !o.given["password"]:
		return errors.New("--server: want the password too, by --password-file, " + passwordVariable + " or --password")
	}
	if o.server != "" && !o.given["user"] {
		return errors.New("--server: want --user, a user of that server for tests; %d in it is the number of a session")
	}
	return nil
}

// startBackend starts a backend, or returns the one that runs.
func (o *options) startBackend(ctx context.Context) (backend, error) {
	if o.kind == kindServer {
		return o.findServer(ctx, o.cells)
	}
	if o.kind == kindDavMail {
		return o.startDavMail(ctx)
	}
	java, err := o.startJava(ctx, rig.JavaOptions{Workers: javaWorkers, MessageSize: javaMessage,
		JVM: []string{"-Xss256k"}})
	if err != nil {
		return nil, err
	}
	return javaProgram{java}, nil
}
