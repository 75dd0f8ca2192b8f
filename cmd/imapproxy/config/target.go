package config

import "time"

// Route is the section [route].
type Route struct {
	Place    Place
	Type     string   `key:"type" doc:"fixed: one target for everybody; map: a file of rules; auth: what the answer of [auth] says, with target or file for users whose answer names none." required:"yes" enum:"fixed|map|auth" example:"fixed"`
	Target   string   `key:"target" doc:"The name of the target for type fixed, or behind type auth." example:"one"`
	File     Path     `key:"file" doc:"The map for type map, or behind type auth. Its results are [user@]TARGET or [user@]host[:port]. Read again on SIGHUP." example:"map" print:"no"`
	Allow    []string `key:"allow" doc:"The addresses that a map or an answer may name without a section [[target]]: host:port, or CIDR:port. Anything else is refused." example:"[\"10.0.0.0/24:993\"]" print:"no"`
	Template string   `key:"template" doc:"The target whose settings the addresses of allow take." example:"one" print:"no"`
}

// Target is a section [[target]].
type Target struct {
	Place        Place
	Name         string        `key:"name" doc:"The name that [route], maps and answers use. Letters, digits, \"-\", \"_\" and \".\"." required:"yes" example:"one"`
	Addresses    []string      `key:"addresses" doc:"host:port, or unix:/path of a Unix socket, tried in this order while one can't be reached. Without a port: 993 for implicit, 143 otherwise." required:"yes" example:"[\"imap1.example.org:993\"]"`
	TLS          string        `key:"tls" doc:"implicit is TLS from the first byte, starttls asks for it and sends no password when it is missing, off is for this machine or with plain_login." default:"implicit" enum:"off|starttls|implicit"`
	ServerName   string        `key:"server_name" doc:"The name in the backend's certificate. Without it: the host of the address; a Unix socket has none." example:"imap1.example.org" print:"no"`
	CA           Path          `key:"ca" doc:"PEM file with the authorities that are trusted instead of the system's." example:"tls/backend-ca.pem" print:"no"`
	Verify       bool          `key:"verify" doc:"Verify the backend's certificate. false weakens: anybody in between can read and change everything." default:"true"`
	TLSMin       string        `key:"tls_min" doc:"The oldest TLS version that is spoken." default:"1.2" enum:"1.2|1.3"`
	ProxyHeader  string        `key:"proxy_header" doc:"Send a PROXY protocol header with the client's address in front. The backend must expect it." default:"off" enum:"off|v1|v2"`
	ForwardID    bool          `key:"forward_id" doc:"Send the client's address and the session's id by ID (RFC 2971) before the login, when the backend offers ID." default:"true"`
	MasterUser   string        `key:"master_user" doc:"Log in as this user on behalf of the client's (PLAIN with an authorization identity). Without it: with the client's own password." example:"proxy" print:"no"`
	MasterFile   Path          `key:"master_password_file" doc:"The file whose first line is the password of master_user." example:"master.password" print:"no"`
	PlainLogin   bool          `key:"plain_login" doc:"Send passwords without TLS to another machine. Weakens: whoever sees the network reads the passwords." default:"false"`
	ConnectLimit time.Duration `key:"connect_timeout" doc:"One TCP connect." default:"5s" min:"100ms" max:"60s"`
	TLSLimit     time.Duration `key:"tls_timeout" doc:"One TLS handshake." default:"10s" min:"100ms" max:"60s"`
	GreetLimit   time.Duration `key:"greeting_timeout" doc:"From connected to the backend's greeting." default:"10s" min:"100ms" max:"60s"`
	LoginLimit   time.Duration `key:"login_timeout" doc:"STARTTLS, ID and the login together." default:"20s" min:"100ms" max:"5m"`
	LogoutLimit  time.Duration `key:"logout_timeout" doc:"From LOGOUT to the end of the backend's side; then the connection is reset." default:"2s" min:"100ms" max:"60s"`

	KeepAliveIdle     time.Duration `key:"keepalive_idle" doc:"Instead of tcp.keepalive_idle, for this target's connections." example:"60s" min:"1s" max:"2h" print:"no"`
	KeepAliveInterval time.Duration `key:"keepalive_interval" doc:"Instead of tcp.keepalive_interval, for this target's connections." example:"10s" min:"1s" max:"10m" print:"no"`
	KeepAliveCount    int           `key:"keepalive_count" doc:"Instead of tcp.keepalive_count, for this target's connections." example:"6" min:"1" max:"127" print:"no"`
	UserTimeout       time.Duration `key:"user_timeout" doc:"Instead of tcp.user_timeout, for this target's connections." example:"120s" min:"1s" max:"1h" print:"no"`

	Pool Pool `key:"pool" doc:"Whether connections to this target are used again, by the same user's next session. It belongs to the [[target]] above it. For clients with short sessions, such as webmail: a client that idles for hours never gives its connection back."`
}

// Pool is a section [target.pool].
type Pool struct {
	Place        Place
	Mode         string        `key:"mode" doc:"on uses connections again for the clients that listeners, networks and client_names choose: any of the three is enough; without them, for every client." default:"off" enum:"off|on"`
	Listeners    []string      `key:"listeners" doc:"The names of listeners whose clients are served." example:"[\"webmail\"]" print:"no"`
	Networks     []string      `key:"networks" doc:"The networks whose clients are served: CIDR, or an address." example:"[\"10.1.2.0/24\"]" print:"no"`
	ClientNames  []string      `key:"client_names" doc:"What the client calls itself by ID before the login (RFC 2971), in letters of either case." example:"[\"Roundcube\"]" print:"no"`
	MaxIdle      int           `key:"max_idle" doc:"Idle connections of all users together; past it the least recently used one ends." default:"1000" min:"1" max:"100000"`
	MaxPerUser   int           `key:"max_per_user" doc:"Connections of one user, in use or idle; more logins wait. Stay below what the backend allows, such as Dovecot's mail_max_userip_connections (10)." default:"8" min:"1" max:"10000"`
	MaxPerTarget int           `key:"max_per_target" doc:"Connections in all, in use or idle; more logins wait." default:"5000" min:"1" max:"1000000"`
	MaxWaiting   int           `key:"max_waiting" doc:"Logins that wait for a connection; more are refused with NO [UNAVAILABLE]." default:"500" min:"1" max:"100000"`
	WaitTimeout  time.Duration `key:"wait_timeout" doc:"How long a login waits for a connection before NO [UNAVAILABLE]." default:"10s" min:"100ms" max:"10m"`
	IdleTimeout  time.Duration `key:"idle_timeout" doc:"How long a connection may lie idle. The one that came back last is used first, so that those that are too many reach this." default:"5m" min:"1s" max:"24h"`
	MaxLifetime  time.Duration `key:"max_lifetime" doc:"How old a connection may become, less up to a tenth by chance; one in use ends when it comes back." default:"1h" min:"10s" max:"168h"`
	KeepAlive    time.Duration `key:"keepalive" doc:"An idle connection is asked by NOOP that often; at least 10s, 0s is never." default:"4m" min:"0s" max:"24h"`
	CheckAfter   time.Duration `key:"check_after" doc:"A connection that has been idle for longer is asked by NOOP before it is used again. One where anything has come meanwhile always is." default:"30s" min:"0s" max:"24h"`
	Reauth       time.Duration `key:"reauth" doc:"With auth.type passthrough: how long a login at the backend stands for further logins with the same password; 0s asks the backend each time." default:"60s" min:"0s" max:"1h"`
	Spare        int           `key:"spare" doc:"Connections that are kept greeted and not logged in, where making one takes long. They are renewed every 90 s. None with proxy_header." default:"0" min:"0" max:"1000"`
}
