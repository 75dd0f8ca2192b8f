package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

// javaBig is how many bytes the message has that the Java programs fetch in parts.
const javaBig = 20_000_000

// javaQuota has room for the big message and one of 10 MB, and not for 6 MB more.
const javaQuota = `
service imap {
  service_count = 100
}
mail_fsync = never
mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota imap_zlib
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=30000k
}
`

// The ways by which the Java program reaches its mail. Each has its own user, whose number is the way's place here.
const (
	pastProxy = "direct"
	own       = "own"
	pooled    = "pool"
	asNginx   = "nginx"
)

var javaWays = []string{pastProxy, own, pooled, asNginx}

// javaRig is two Dovecots with quota and COMPRESS, a proxy in imapproxy's own mode with a pool for some users, and
// another that serves a converted configuration of nginx.
type javaRig struct {
	*crowd
	own, nginx       *process
	ownFDs, nginxFDs []string
	nginxRig         *rig
	documented       map[difference]bool
}

// javaEndpoint is where the Java program connects to, and as whom.
type javaEndpoint struct {
	name string // of the way and the mode
	way  string
	endpoint
	account
}

func newJavaRig(t *testing.T) *javaRig {
	t.Helper()
	need(t, "javac")
	j := &javaRig{crowd: newCrowd(t, len(javaWays), javaBig, ""), documented: documentedDifferences(t)}
	for _, d := range []*dovecot{j.One, j.Two} {
		d.Stop()
		j.addOddUsers(t, d)
		conf := strings.Replace(mustRead(t, d.path("conf")), "auth_failure_delay = 1 secs", "auth_failure_delay = 0", 1)
		write(t, d.path("conf"), 0o644, conf+javaQuota)
		if !d.start(t) {
			t.Fatalf("Dovecot %s does not start again:\n%s", d.Name, d.log())
		}
	}
	j.addPools(t)
	j.own, j.ownFDs = j.serve(t)
	j.serveNginx(t)
	return j
}

// addOddUsers adds those whose passwords have odd characters, and those who may not log in.
func (j *javaRig) addOddUsers(t *testing.T, d *dovecot) {
	t.Helper()
	users := mustRead(t, d.path("users"))
	for n := range javaWays {
		for _, class := range []string{"a", "b", "c"} {
			name := fmt.Sprint(class, n)
			users += name + "odd:{PLAIN}\"q\\u oä€::::::\n" + name + "quoted:{PLAIN}a \"b\" \\ %{5}::::::\n" +
				name + "closed:{PLAIN}secret::::::nologin=y reason=this-account-is-closed\n"
			for _, more := range []string{"odd", "quoted", "closed"} {
				makeDir(t, filepath.Join(d.path("mail"), name+more), crowdUID)
			}
		}
	}
	write(t, d.path("users"), 0o644, users)
}

// addPools gives each target a twin with a pool, for the users of the way with that name.
func (j *javaRig) addPools(t *testing.T) {
	t.Helper()
	j.writeMap(t, "/^a2/ one-pool\n/^b2/ two-pool\n/^c2/ clear-pool\n"+mustRead(t, filepath.Join(j.folder(), "map")))
	j.configure(t, func(config string) string {
		sections := strings.Split(config, "\n[")
		for _, s := range sections {
			if name := regexp.MustCompile(`^\[target\]\]\nname = "(\w+)"`).FindStringSubmatch(s); name != nil {
				twin := strings.Replace(s, `"`+name[1]+`"`, `"`+name[1]+`-pool"`, 1)
				config += "\n[" + twin + "\n[target.pool]\nmode = \"on\"\n" +
					"idle_timeout = \"2s\"\nkeepalive = \"0s\"\nmax_per_user = 50\n"
			}
		}
		return config
	})
}

// serveNginx converts a configuration of nginx and serves it.
func (j *javaRig) serveNginx(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	r := &rig{One: j.One, Two: j.Two, PlainPort: freePort(t), TLSPort: freePort(t), CAFile: j.CAFile}
	asks := http.Server{Handler: http.HandlerFunc(j.answerAuth)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	try(t, "listen", err)
	go func() { _ = asks.Serve(ln) }()
	t.Cleanup(func() { _ = asks.Close() })
	mustWrite(t, filepath.Join(folder, "nginx.conf"), fmt.Sprintf(`error_log stderr info;
events {}
mail {
    server_name proxy.example.org;
    auth_http http://%[1]s/auth;
    imap_capabilities IMAP4rev1 LITERAL+ SASL-IR IDLE ID ENABLE;
    imap_auth plain login;
    ssl_certificate %[2]s/cert.pem;
    ssl_certificate_key %[2]s/key.pem;
    server { protocol imap; listen 127.0.0.1:%[3]d; starttls on; }
    server { protocol imap; listen 127.0.0.1:%[4]d ssl; }
}
`, ln.Addr(), j.folder(), r.PlainPort, r.TLSPort))
	r.Config = convertHere(t, folder, 0)
	write(t, r.Config, 0o600, mustRead(t, r.Config)+"\n[admin]\naddress = \"unix:admin.sock\"\n")
	j.nginxRig = r
	j.nginx, j.nginxFDs = r.launch(t, r.program(t), 3)
}

// answerAuth is the auth server of nginx's mail proxy.
func (j *javaRig) answerAuth(w http.ResponseWriter, r *http.Request) {
	user, password := r.Header.Get("Auth-User"), r.Header.Get("Auth-Pass")
	user, _ = url.PathUnescape(user)
	password, _ = url.PathUnescape(password)
	known := regexp.MustCompile(`^[abc]\d(odd|quoted|closed)?$`).FindStringSubmatch(user)
	right := map[string]string{"": crowdPassword, "odd": "\"q\\u oä€", "quoted": "a \"b\" \\ %{5}", "closed": "secret"}
	if known == nil || password != right[known[1]] {
		w.Header().Set("Auth-Status", "Invalid login or password")
		return
	}
	server := j.One
	if user[0] == 'b' {
		server = j.Two
	}
	w.Header().Set("Auth-Status", "OK")
	w.Header().Set("Auth-Server", "127.0.0.1")
	w.Header().Set("Auth-Port", fmt.Sprint(server.PlainPort))
}

// endpoints are all ways in all modes.
func (j *javaRig) endpoints() []javaEndpoint {
	var all []javaEndpoint
	for n, way := range javaWays {
		for _, m := range []mode{plain, startTLS, tlsFirst} {
			if way == pooled && m != startTLS {
				continue // what clients use between them and the proxy is nothing to a pool
			}
			e := javaEndpoint{name: fmt.Sprintf("%s/%s", way, m), way: way, account: j.account(m, n)}
			switch way {
			case pastProxy:
				e.endpoint = e.Server.endpoint(m)
			case asNginx:
				e.endpoint = j.nginxRig.endpoint(m)
			default:
				e.endpoint = j.endpoint(m)
			}
			all = append(all, e)
		}
	}
	return all
}

// javaResults are results by the names of an endpoint and of a check.
type javaResults map[string]map[string]string

// javaMail is the program, compiled, with the library that it calls.
type javaMail struct{ path string }

// compileJavaMail compiles the program. Jakarta Mail differs from JavaMail in the names of packages.
func compileJavaMail(t *testing.T, jakarta bool) javaMail {
	t.Helper()
	jars, from, to := "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar", "", ""
	if jakarta {
		jars, from, to = "/usr/share/java/jakarta-mail.jar:/usr/share/java/jakarta-activation.jar",
			"javax.mail.", "jakarta.mail."
	}
	for jar := range strings.SplitSeq(jars, ":") {
		if _, err := os.Stat(jar); err != nil {
			t.Skipf("SKIPPED: %s is missing; install it with: sudo apt-get install libmail-java "+
				"libjakarta-mail-java", jar)
		}
	}
	sources, err := filepath.Glob("../../testdata/javamail/*.java")
	try(t, "sources", err)
	folder := t.TempDir()
	arguments := []string{"-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-encoding", "UTF-8", "-cp", jars,
		"-d", folder}
	for _, source := range sources {
		copied := filepath.Join(folder, filepath.Base(source))
		text := mustRead(t, source)
		if from != "" {
			text = strings.ReplaceAll(text, from, to)
		}
		write(t, copied, 0o600, text)
		arguments = append(arguments, copied)
	}
	output(t, nil, "javac", arguments...)
	return javaMail{folder + ":" + jars}
}

// run exercises the endpoints, and returns the results. held is called while the
// program has many connections open, before it is killed.
func (m javaMail) run(t *testing.T, j *javaRig, endpoints []javaEndpoint, held func()) javaResults {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "endpoints")
	var lines strings.Builder
	byName := map[string]javaEndpoint{}
	for _, e := range endpoints {
		byName[e.name] = e
		fmt.Fprintf(&lines, "%s\t%s\t%d\t%s\t%s\t%s\n", e.name, e.Mode, e.Port, e.CAFile, e.User, e.Password)
	}
	write(t, file, 0o600, lines.String())
	cmd := exec.CommandContext(ctx, "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m",
		"-Dfile.encoding=UTF-8", "-cp", m.path, "JavaMailClient", file)
	endsWithTest(cmd)
	var trouble safeText
	cmd.Stderr = &trouble
	in, err := cmd.StdinPipe()
	try(t, "java", err)
	out, err := cmd.StdoutPipe()
	try(t, "java", err)
	try(t, "java", cmd.Start())
	results := javaResults{}
	killed := false
	for said := bufio.NewScanner(out); said.Scan(); {
		f := append(strings.SplitN(said.Text(), "\t", 3), "", "") // a JVM may say something, too
		word, name, _ := strings.Cut(f[1], " ")
		switch {
		case f[0] != "do":
			if results[f[0]] == nil {
				results[f[0]] = map[string]string{}
			}
			results[f[0]][f[1]] = f[2]
			continue
		case word == "hold":
			if name != "40" {
				t.Errorf("the program has %s connections before it is killed, want 40", name)
			}
			held()
			killed = true
			try(t, "kill", cmd.Process.Kill())
		default:
			j.end(t, word, byName[name])
			_, _ = io.WriteString(in, "done\n")
		}
	}
	if err := cmd.Wait(); !killed {
		t.Fatalf("java: %v\n%s", err, trouble.String())
	}
	if trouble.String() != "" {
		t.Errorf("java says\n%s", trouble.String())
	}
	return results
}

// end ends the sessions of an endpoint's user: the backend does, or the operator of what the program is connected to.
func (j *javaRig) end(t *testing.T, word string, e javaEndpoint) {
	t.Helper()
	if word == "operator" && e.way != pastProxy {
		folder := j.folder()
		if e.way == asNginx {
			folder = filepath.Dir(j.nginxRig.Config)
		}
		_, err := adminAt(config.UnixPrefix+filepath.Join(folder, "admin.sock")).
			ask(http.MethodPost, "/kick", url.Values{"user": {e.User}})
		try(t, "kick", err)
	} else {
		output(t, nil, "doveadm", "-c", e.Server.path("conf"), "kick", e.User)
	}
	eventually(t, "end of the sessions of "+e.User, func() (bool, string) {
		pids, err := e.Server.pids(e.User)
		return err == nil && len(pids) == 0, fmt.Sprint(pids, err)
	})
}
