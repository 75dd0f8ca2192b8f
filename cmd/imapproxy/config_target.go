package main

import "time"

// routeConfig is the section [route].
type routeConfig struct {
	Place    place
	Type     string   `key:"type" doc:"fixed: one target for everybody; map: a file of rules; auth: what the answer of [auth] says, with target or file for users whose answer names none." required:"yes" enum:"fixed|map|auth" example:"fixed"`
	Target   string   `key:"target" doc:"The name of the target for type fixed, or behind type auth." example:"one"`
	File     filePath `key:"file" doc:"The map for type map, or behind type auth. Its results are [user@]TARGET or [user@]host[:port]. Read again on SIGHUP." example:"map" print:"no"`
	Allow    []string `key:"allow" doc:"The addresses that a map or an answer may name without a section [[target]]: host:port, or CIDR:port. Anything else is refused." example:"[\"10.0.0.0/24:993\"]" print:"no"`
	Template string   `key:"template" doc:"The target whose settings the addresses of allow take." example:"one" print:"no"`
}

// targetConfig is a section [[target]].
type targetConfig struct {
	Place        place
	Name         string        `key:"name" doc:"The name that [route], maps and answers use. Letters, digits, \"-\", \"_\" and \".\"." required:"yes" example:"one"`
	Addresses    []string      `key:"addresses" doc:"host:port, tried in this order while one can't be reached. Without a port: 993 for implicit, 143 otherwise." required:"yes" example:"[\"imap1.example.org:993\"]"`
	TLS          string        `key:"tls" doc:"implicit is TLS from the first byte, starttls asks for it and sends no password when it is missing, off is for this machine or with plain_login." default:"implicit" enum:"off|starttls|implicit"`
	ServerName   string        `key:"server_name" doc:"The name in the backend's certificate. Without it: the host of the address." example:"imap1.example.org" print:"no"`
	CA           filePath      `key:"ca" doc:"PEM file with the authorities that are trusted instead of the system's." example:"tls/backend-ca.pem" print:"no"`
	Verify       bool          `key:"verify" doc:"Verify the backend's certificate. false weakens: anybody in between can read and change everything." default:"true"`
	TLSMin       string        `key:"tls_min" doc:"The oldest TLS version that is spoken." default:"1.2" enum:"1.2|1.3"`
	ProxyHeader  string        `key:"proxy_header" doc:"Send a PROXY protocol header with the client's address in front. The backend must expect it." default:"off" enum:"off|v1|v2"`
	ForwardID    bool          `key:"forward_id" doc:"Send the client's address and the session's id by ID (RFC 2971) before the login, when the backend offers ID." default:"true"`
	MasterUser   string        `key:"master_user" doc:"Log in as this user on behalf of the client's (PLAIN with an authorization identity). Without it: with the client's own password." example:"proxy" print:"no"`
	MasterFile   filePath      `key:"master_password_file" doc:"The file whose first line is the password of master_user." example:"master.password" print:"no"`
	PlainLogin   bool          `key:"plain_login" doc:"Send passwords without TLS to another machine. Weakens: whoever sees the network reads the passwords." default:"false"`
	ConnectLimit time.Duration `key:"connect_timeout" doc:"One TCP connect." default:"5s" min:"100ms" max:"60s"`
	TLSLimit     time.Duration `key:"tls_timeout" doc:"One TLS handshake." default:"10s" min:"100ms" max:"60s"`
	GreetLimit   time.Duration `key:"greeting_timeout" doc:"From connected to the backend's greeting." default:"10s" min:"100ms" max:"60s"`
	LoginLimit   time.Duration `key:"login_timeout" doc:"STARTTLS, ID and the login together." default:"20s" min:"100ms" max:"5m"`
	LogoutLimit  time.Duration `key:"logout_timeout" doc:"From LOGOUT to the end of the backend's side; then the connection is reset." default:"2s" min:"100ms" max:"60s"`
}
