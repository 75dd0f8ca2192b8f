package config

import "time"

// The structs that File holds, in this package, are the schema of the
// configuration file. One set of tags drives the decoding, `imapproxy config`
// and the reference in docs/configuration.md; what each key is for stands in
// keys.txt:
//
//	key      the key in the file
//	default  the value when the key is absent, as text
//	min, max bounds, inclusive
//	enum     the words that are allowed, separated by "|"; "sources" for the names of Sources
//	required "yes" when the key must be written
//	example  the value that `imapproxy config` prints instead of the default; of a list its
//	         elements, separated by "|"
//	print    "no" when `imapproxy config` prints the key as a comment
//	like     the section whose keys this one takes: they are described there, and only there

// File is a whole configuration file.
type File struct {
	Place     Place
	Hostname  string     `key:"hostname" example:"imap.example.org"`
	Log       Log        `key:"log"`
	Listeners []Listener `key:"listener" required:"yes"`
	Limits    Limits     `key:"limits"`
	Auth      Auth       `key:"auth" required:"yes"`
	Rewrite   Rewrites   `key:"rewrite"`
	Route     Route      `key:"route" required:"yes"`
	TCP       TCP        `key:"tcp"`
	Admin     Admin      `key:"admin"`
	Targets   []Target   `key:"target"`
}

// Log is the section [log].
type Log struct {
	Place  Place
	Level  string `key:"level" default:"info" enum:"debug|info|warn|error"`
	Format string `key:"format" default:"auto" enum:"auto|json|console|nginx"`
	File   Path   `key:"file" example:"/var/log/imapproxy/imapproxy.log" print:"no"`
	Syslog string `key:"syslog" example:"server=unix:/dev/log" print:"no"`

	Outputs []LogOutput `key:"output" print:"no"`
}

// Limits is the section [limits].
type Limits struct {
	Place        Place
	Login        time.Duration `key:"login_timeout" default:"60s" min:"5s" max:"10m"`
	Idle         time.Duration `key:"session_idle_timeout" default:"35m" min:"30m" max:"168h"`
	HalfClose    time.Duration `key:"half_close_timeout" default:"30s" min:"1s" max:"10m"`
	HalfIdle     time.Duration `key:"half_close_idle" default:"5s" min:"1s" max:"10m"`
	Drain        time.Duration `key:"drain_timeout" default:"30s" min:"1s" max:"24h"`
	Retire       time.Duration `key:"retire_timeout" default:"24h" min:"0s" max:"8760h"`
	Bye          time.Duration `key:"bye_timeout" default:"2s" min:"100ms" max:"10s"`
	BadCommands  int           `key:"bad_commands" default:"3" min:"1" max:"100"`
	FailedLogins int           `key:"failed_logins" default:"5" min:"1" max:"100"`
	Sessions     int           `key:"sessions" default:"10000" min:"1" max:"1000000"`
	ProxyTTL     int           `key:"proxy_ttl" default:"5" min:"1" max:"32"`
	Kick         time.Duration `key:"kick_timeout" default:"5s" min:"100ms" max:"60s"`
	Heartbeat    time.Duration `key:"idle_heartbeat" default:"0s" min:"0s" max:"29m"`
	LeakReport   time.Duration `key:"leak_report" default:"5m" min:"0s" max:"24h"`
	LeakReclaim  time.Duration `key:"leak_reclaim" default:"30m" min:"0s" max:"168h"`
}

// Auth is the section [auth].
type Auth struct {
	Place Place
	Type  string `key:"type" required:"yes" enum:"sources" example:"file"`
	File  Path   `key:"file" example:"users"`
	HTTP  HTTP   `key:"http" print:"no"`

	Cache    Cache    `key:"cache" print:"no"`
	External External `key:"external" print:"no"`
}

// Cache is the section [auth.cache].
type Cache struct {
	Place    Place
	Positive time.Duration `key:"positive" default:"5m" min:"0s" max:"24h"`
}

// External is the section [auth.external].
type External struct {
	Place Place
	From  string `key:"from" default:"off" enum:"off|common_name|email|dns_name|subject|fingerprint"`
	File  Path   `key:"file" example:"certificates" print:"no"`
}

// HTTP is the section [auth.http].
type HTTP struct {
	Place          Place
	URL            string            `key:"url" example:"http://127.0.0.1:9000/auth"`
	Timeout        time.Duration     `key:"timeout" default:"10s" min:"100ms" max:"60s"`
	Headers        map[string]string `key:"headers" example:"{ X-Auth-Key = \"secret\" }"`
	CA             Path              `key:"ca" example:"tls/auth-ca.pem"`
	Insecure       bool              `key:"insecure" default:"false"`
	MaxConnections int               `key:"max_connections" default:"32" min:"1" max:"10000"`
	ServerOptional bool              `key:"server_optional" default:"false"`

	PassCertificate bool `key:"pass_client_certificate" default:"false"`
}

// Rewrites is the section [rewrite].
type Rewrites struct {
	Place   Place
	Auth    Rewrite `key:"auth"`
	Lookup  Rewrite `key:"lookup"`
	Backend Rewrite `key:"backend"`
}

// Rewrite is one step of rewriting.
type Rewrite struct {
	Place       Place
	StripDomain bool   `key:"strip_domain" default:"false"`
	AddDomain   string `key:"add_domain" example:"example.org" print:"no"`
	LowerCase   bool   `key:"lower_case" default:"false"`
	Delimiter   string `key:"delimiter" default:"@"`
}
