package config

import "time"

// The structs that File holds, in this package, are the schema of the
// configuration file. One set of tags drives the decoding, `imapproxy config`
// and the reference in docs/configuration.md:
//
//	key      the key in the file
//	doc      what it is for, one or two sentences
//	default  the value when the key is absent, as text
//	min, max bounds, inclusive
//	enum     the words that are allowed, separated by "|"; "sources" for the names of Sources
//	required "yes" when the key must be written
//	example  the value that `imapproxy config` prints instead of the default
//	print    "no" when `imapproxy config` prints the key as a comment

// File is a whole configuration file.
type File struct {
	Place     Place
	Hostname  string     `key:"hostname" doc:"The name in the greeting and in BYE texts. Without it: the name of the machine." example:"imap.example.org"`
	Log       Log        `key:"log" doc:"The log. It goes to standard error, unless file or syslog is written; both may be."`
	Listeners []Listener `key:"listener" doc:"An address that clients connect to. Write the section once for each." required:"yes"`
	Limits    Limits     `key:"limits" doc:"The limits of a session and of the process."`
	Auth      Auth       `key:"auth" doc:"Who may log in." required:"yes"`
	Rewrite   Rewrites   `key:"rewrite" doc:"How the user's name is rewritten, one section for each step. The order within a step: strip_domain, add_domain, lower_case."`
	Route     Route      `key:"route" doc:"Which backend a user belongs to." required:"yes"`
	TCP       TCP        `key:"tcp" doc:"When a client or a backend that sends nothing counts as gone. Both sides take the same, but for what a listener or a target has of its own."`
	Admin     Admin      `key:"admin" doc:"The admin listener, for the commands sessions, sockets, pool, kick and drain and for monitoring. Without an address there is none."`
	Targets   []Target   `key:"target" doc:"A backend: where it is and how it is spoken to. Write the section once for each." required:"yes"`
}

// Log is the section [log].
type Log struct {
	Place  Place
	Level  string `key:"level" doc:"The least important lines that are written. There is one line for each session at info." default:"info" enum:"debug|info|warn|error"`
	Format string `key:"format" doc:"json is one object a line, console is for people; auto is console on a terminal and json elsewhere. A reload does not change it." default:"auto" enum:"auto|json|console"`
	File   Path   `key:"file" doc:"The log's file. SIGUSR1 opens it again, for logrotate. A reload does not change it." example:"/var/log/imapproxy/imapproxy.log" print:"no"`
	Syslog string `key:"syslog" doc:"A syslog server as nginx names it: server=unix:/dev/log,facility=mail,tag=imapproxy,severity=info; server may be host:port (UDP). Each line is JSON, under the severity of its level. A reload does not change it." example:"server=unix:/dev/log" print:"no"`
}

// Limits is the section [limits].
type Limits struct {
	Place        Place
	Login        time.Duration `key:"login_timeout" doc:"From accepted to logged in. What the client sends does not extend it." default:"60s" min:"5s" max:"10m"`
	Idle         time.Duration `key:"session_idle_timeout" doc:"How long a session may be silent in both directions. RFC 3501 5.4 and IDLE (RFC 2177) need 30 minutes." default:"35m" min:"30m" max:"168h"`
	HalfClose    time.Duration `key:"half_close_timeout" doc:"How long one side may go on sending after the other has closed, as long as it does send (half_close_idle)." default:"30s" min:"1s" max:"10m"`
	HalfIdle     time.Duration `key:"half_close_idle" doc:"How long nothing may be sent after one side has closed; then both are closed. A client that has gone looks like one that only sends no more." default:"5s" min:"1s" max:"10m"`
	Drain        time.Duration `key:"drain_timeout" doc:"How long sessions may take to reach a safe point after SIGTERM before they are cut." default:"30s" min:"1s" max:"24h"`
	Retire       time.Duration `key:"retire_timeout" doc:"How long sessions may go on after SIGQUIT before they are drained; 0s is for ever." default:"24h" min:"0s" max:"8760h"`
	Bye          time.Duration `key:"bye_timeout" doc:"How long a client may take to read its BYE and to close." default:"2s" min:"100ms" max:"10s"`
	BadCommands  int           `key:"bad_commands" doc:"How many commands before the login may be wrong; the connection is closed at the last." default:"3" min:"1" max:"100"`
	FailedLogins int           `key:"failed_logins" doc:"How many logins on one connection may be refused; it is closed at the last." default:"5" min:"1" max:"100"`
	Sessions     int           `key:"sessions" doc:"How many sessions there may be at once, logged in or not. Each needs two descriptors." default:"10000" min:"1" max:"1000000"`
	ProxyTTL     int           `key:"proxy_ttl" doc:"How many proxies may follow each other (x-proxy-ttl of ID); a login that has used them up is refused as a loop." default:"5" min:"1" max:"32"`
	Kick         time.Duration `key:"kick_timeout" doc:"How long a session that an administrator ends may take to reach a safe point before it is cut." default:"5s" min:"100ms" max:"60s"`
	Heartbeat    time.Duration `key:"idle_heartbeat" doc:"Silence in IDLE after which the client reads \"* OK Still here\"; at least 30s, 0s is never." default:"0s" min:"0s" max:"29m"`
	LeakReport   time.Duration `key:"leak_report" doc:"How long a backend may owe the answer to a command before its connection is reported as leaked; at least 10s, 0s is never." default:"5m" min:"0s" max:"24h"`
	LeakReclaim  time.Duration `key:"leak_reclaim" doc:"How long a backend connection may look leaked before it is ended; longer than leak_report, 0s is never." default:"30m" min:"0s" max:"168h"`
}

// Auth is the section [auth].
type Auth struct {
	Place Place
	Type  string `key:"type" doc:"file checks passwords against a file of hashes; passthrough lets the backend judge; http asks a server in the way of nginx's auth_http." required:"yes" enum:"sources" example:"file"`
	File  Path   `key:"file" doc:"The file of users for type file; imapproxy passwd makes its lines. Read again on SIGHUP." example:"users"`
	HTTP  HTTP   `key:"http" doc:"The server for type http." print:"no"`

	External External `key:"external" doc:"Logins by the client's certificate (AUTHENTICATE EXTERNAL), on listeners with client_certificates. The backend gets no password of the user's: the targets need master_user, unless the answer of auth.http has Auth-Pass." print:"no"`
}

// External is the section [auth.external].
type External struct {
	Place Place
	From  string `key:"from" doc:"What in a certificate names the user: the subject's common name, the first e-mail address or DNS name of the SAN, the whole subject, or the certificate's fingerprint." default:"off" enum:"off|common_name|email|dns_name|subject|fingerprint"`
	File  Path   `key:"file" doc:"The users of certificates, one a line: USER, a space, and what stands in the certificate. Without it that is the user's name; subject and fingerprint need it. Read again on SIGHUP." example:"certificates" print:"no"`
}

// HTTP is the section [auth.http].
type HTTP struct {
	Place          Place
	URL            string            `key:"url" doc:"Where to ask: https://host/path, http://host:port/path, or unix:/socket:/path. Passwords travel in the request, so that http is for this machine only." example:"http://127.0.0.1:9000/auth"`
	Timeout        time.Duration     `key:"timeout" doc:"How long one question may take, connecting included." default:"10s" min:"100ms" max:"60s"`
	Headers        map[string]string `key:"headers" doc:"Headers added to each request, such as a key of the service." example:"{ X-Auth-Key = \"secret\" }"`
	CA             Path              `key:"ca" doc:"PEM file with the authorities that are trusted for https instead of the system's." example:"tls/auth-ca.pem"`
	Insecure       bool              `key:"insecure" doc:"Allow an http URL to another machine. Weakens: whoever sees the network reads the passwords." default:"false"`
	MaxConnections int               `key:"max_connections" doc:"How many questions may be under way at once; more wait." default:"32" min:"1" max:"10000"`
	ServerOptional bool              `key:"server_optional" doc:"Take an answer without Auth-Server, and let [route] choose the backend." default:"false"`

	PassCertificate bool `key:"pass_client_certificate" doc:"Send the client's certificate (Auth-SSL-Cert), escaped as nginx does." default:"false"`
}

// Rewrites is the section [rewrite].
type Rewrites struct {
	Place   Place
	Auth    Rewrite `key:"auth" doc:"The name as it is authenticated."`
	Lookup  Rewrite `key:"lookup" doc:"The name as it is looked up in the map. It does not change the name for the backend."`
	Backend Rewrite `key:"backend" doc:"The name as it is sent to the backend."`
}

// Rewrite is one step of rewriting.
type Rewrite struct {
	Place       Place
	StripDomain bool   `key:"strip_domain" doc:"Remove the last delimiter and what follows it." default:"false"`
	AddDomain   string `key:"add_domain" doc:"The domain to add to a name that has no delimiter." example:"example.org" print:"no"`
	LowerCase   bool   `key:"lower_case" doc:"Change ASCII capitals to small letters." default:"false"`
	Delimiter   string `key:"delimiter" doc:"What stands between the name and the domain; the last one counts." default:"@"`
}
