package config

import "time"

// Listener is a section [[listener]].
type Listener struct {
	Place        Place
	Name         string `key:"name" required:"yes" example:"imap"`
	Address      string `key:"address" required:"yes" example:":143"`
	SocketMode   string `key:"socket_mode" default:"0600"`
	TLS          string `key:"tls" default:"starttls" enum:"off|starttls|implicit"`
	StartTLSOnly bool   `key:"starttls_only" default:"false"`
	Certificate  Path   `key:"certificate" example:"tls/imap.crt"`
	Key          Path   `key:"key" example:"tls/imap.key"`
	OCSPFile     Path   `key:"ocsp_file" example:"tls/imap.ocsp" print:"no"`
	KeyPasswords Path   `key:"key_password_file" example:"tls/key.passwords" print:"no"`

	TLSMin string `key:"tls_min" default:"1.2" enum:"1.0|1.1|1.2|1.3"`
	TLSMax string `key:"tls_max" default:"1.3" enum:"1.0|1.1|1.2|1.3"`

	Ciphers []string `key:"tls_ciphers" example:"ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-RSA-AES128-GCM-SHA256" print:"no"`

	Curves         []string `key:"tls_curves" example:"X25519MLKEM768|X25519|P-256" print:"no"`
	SessionTickets bool     `key:"tls_session_tickets" default:"true"`
	TicketKeys     []string `key:"tls_ticket_keys" example:"tls/ticket.key" print:"no"`

	SessionCache   int           `key:"tls_session_cache" default:"0" min:"0" max:"1000000" print:"no"`
	SessionTimeout time.Duration `key:"tls_session_timeout" default:"5m" min:"1s" max:"168h" print:"no"`

	ClientCertificates  string `key:"client_certificates" default:"off" enum:"off|on|optional|optional_no_ca"`
	ClientCA            Path   `key:"client_ca" example:"tls/client-ca.pem" print:"no"`
	TrustedCertificates Path   `key:"trusted_certificates" example:"tls/client-ca.pem" print:"no"`
	ClientCADepth       int    `key:"client_ca_depth" default:"1" min:"0" max:"10"`
	ClientCRL           Path   `key:"client_crl" example:"tls/client.crl" print:"no"`

	ProxyProtocol  string   `key:"proxy_protocol" default:"off" enum:"off|required"`
	ProxyTrusted   []string `key:"proxy_trusted" example:"192.0.2.0/28" print:"no"`
	ProxyUntrusted string   `key:"proxy_untrusted" default:"refuse" enum:"refuse|ignore"`

	ReusePort bool `key:"reuseport" default:"false"`
	Backlog   int  `key:"backlog" default:"0" min:"0" max:"65535"`
	IPv6Only  bool `key:"ipv6_only" example:"true" print:"no"`

	KeepAliveIdle     time.Duration `key:"keepalive_idle" example:"30m" min:"1s" max:"2h" print:"no"`
	KeepAliveInterval time.Duration `key:"keepalive_interval" example:"10s" min:"1s" max:"10m" print:"no"`
	KeepAliveCount    int           `key:"keepalive_count" example:"6" min:"1" max:"127" print:"no"`
	UserTimeout       time.Duration `key:"user_timeout" example:"120s" min:"1s" max:"1h" print:"no"`

	Capabilities []string      `key:"capabilities" example:"IMAP4rev1|SASL-IR|ID" print:"no"`
	Mechanisms   []string      `key:"mechanisms" example:"PLAIN|XOAUTH2|OAUTHBEARER" print:"no"`
	Login        time.Duration `key:"login_timeout" example:"60s" min:"1s" max:"10m" print:"no"`
	BadCommands  int           `key:"bad_commands" example:"3" min:"1" max:"1000" print:"no"`

	NginxCompat       bool          `key:"nginx_compat" default:"false"`
	ClientIdle        time.Duration `key:"client_idle_timeout" example:"24h" min:"1s" max:"8760h" print:"no"`
	PassBackendErrors bool          `key:"pass_backend_errors" default:"false"`

	Insecure     bool          `key:"insecure" default:"false"`
	Certificates []Certificate `key:"certificates" print:"no"`
	Auth         ListenerAuth  `key:"auth" print:"no"`
	Policy       Policy        `key:"policy" print:"no"`
}

// ListenerAuth is the section [listener.auth].
type ListenerAuth struct {
	Place           Place
	URL             string            `key:"url" example:"http://127.0.0.1:9000/auth"`
	Timeout         time.Duration     `key:"timeout" default:"10s" min:"100ms" max:"60s"`
	Headers         map[string]string `key:"headers" example:"{ X-Auth-Port = \"143\" }"`
	Insecure        bool              `key:"insecure" default:"false"`
	PassCertificate bool              `key:"pass_client_certificate" default:"false"`
}

// Certificate is an element of listener.certificates.
type Certificate struct {
	Place       Place
	Certificate Path `key:"certificate" required:"yes" example:"tls/imap.crt"`
	Key         Path `key:"key" example:"tls/imap.key"`
	OCSPFile    Path `key:"ocsp_file" example:"tls/imap.ocsp"`
}

// AllCertificates are the listener's certificates, the default one first. The place says
// where each is written.
func (l *Listener) AllCertificates() []Certificate {
	var list []Certificate
	if l.Certificate != "" {
		list = append(list, Certificate{l.Place, l.Certificate, l.Key, l.OCSPFile})
	}
	return append(list, l.Certificates...)
}
