package config

import "time"

// Route is the section [route].
type Route struct {
	Place    Place
	Type     string   `key:"type" required:"yes" enum:"fixed|map|auth" example:"fixed"`
	Target   string   `key:"target" example:"one"`
	File     Path     `key:"file" example:"map" print:"no"`
	Allow    []string `key:"allow" example:"10.0.0.0/24:993" print:"no"`
	Template string   `key:"template" example:"one" print:"no"`

	Backend Settings `key:"backend" like:"target" print:"no"`
}

// Target is a section [[target]].
type Target struct {
	Name      string   `key:"name" required:"yes" example:"one"`
	Addresses []string `key:"addresses" required:"yes" example:"imap1.example.org:993"`
	Settings
}

// Settings is how a backend is spoken to: what a [[target]] has besides its
// name and addresses, and the section [route.backend].
type Settings struct {
	Place        Place
	TLS          string        `key:"tls" default:"implicit" enum:"off|starttls|implicit"`
	ServerName   string        `key:"server_name" example:"imap1.example.org" print:"no"`
	CA           Path          `key:"ca" example:"tls/backend-ca.pem" print:"no"`
	Verify       bool          `key:"verify" default:"true"`
	TLSMin       string        `key:"tls_min" default:"1.2" enum:"1.2|1.3"`
	ProxyHeader  string        `key:"proxy_header" default:"off" enum:"off|v1|v2"`
	ForwardID    bool          `key:"forward_id" default:"true"`
	MasterUser   string        `key:"master_user" example:"proxy" print:"no"`
	MasterFile   Path          `key:"master_password_file" example:"master.password" print:"no"`
	PlainLogin   bool          `key:"plain_login" default:"false"`
	Mechanism    string        `key:"mechanism" default:"auto" enum:"auto|plain|login|literals"`
	Texts        string        `key:"backend_texts" default:"codes" enum:"codes|all|none"`
	Referral     string        `key:"referral" default:"refuse" enum:"refuse|follow"`
	ConnectLimit time.Duration `key:"connect_timeout" default:"5s" min:"100ms" max:"60s"`
	TLSLimit     time.Duration `key:"tls_timeout" default:"10s" min:"100ms" max:"60s"`
	GreetLimit   time.Duration `key:"greeting_timeout" default:"10s" min:"100ms" max:"60s"`
	LoginLimit   time.Duration `key:"login_timeout" default:"20s" min:"100ms" max:"5m"`
	LogoutLimit  time.Duration `key:"logout_timeout" default:"2s" min:"100ms" max:"60s"`

	KeepAliveIdle     time.Duration `key:"keepalive_idle" example:"60s" min:"1s" max:"2h" print:"no"`
	KeepAliveInterval time.Duration `key:"keepalive_interval" example:"10s" min:"1s" max:"10m" print:"no"`
	KeepAliveCount    int           `key:"keepalive_count" example:"6" min:"1" max:"127" print:"no"`
	UserTimeout       time.Duration `key:"user_timeout" example:"120s" min:"1s" max:"1h" print:"no"`

	Pool Pool `key:"pool"`
}

// Pool is a section [target.pool].
type Pool struct {
	Place        Place
	Mode         string        `key:"mode" default:"off" enum:"off|on"`
	Listeners    []string      `key:"listeners" example:"webmail" print:"no"`
	Networks     []string      `key:"networks" example:"10.1.2.0/24" print:"no"`
	ClientNames  []string      `key:"client_names" example:"Roundcube" print:"no"`
	MaxIdle      int           `key:"max_idle" default:"1000" min:"1" max:"100000"`
	MaxPerUser   int           `key:"max_per_user" default:"8" min:"1" max:"10000"`
	MaxPerTarget int           `key:"max_per_target" default:"5000" min:"1" max:"1000000"`
	MaxWaiting   int           `key:"max_waiting" default:"500" min:"1" max:"100000"`
	WaitTimeout  time.Duration `key:"wait_timeout" default:"10s" min:"100ms" max:"10m"`
	IdleTimeout  time.Duration `key:"idle_timeout" default:"5m" min:"1s" max:"24h"`
	MaxLifetime  time.Duration `key:"max_lifetime" default:"1h" min:"10s" max:"168h"`
	KeepAlive    time.Duration `key:"keepalive" default:"4m" min:"0s" max:"24h"`
	CheckAfter   time.Duration `key:"check_after" default:"30s" min:"0s" max:"24h"`
	Reauth       time.Duration `key:"reauth" default:"60s" min:"0s" max:"1h"`
	Spare        int           `key:"spare" default:"0" min:"0" max:"1000"`
}
