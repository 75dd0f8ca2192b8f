package config

import "time"

// Listener is a section [[listener]].
type Listener struct {
	Place        Place
	Name         string `key:"name" doc:"The name in the log and in messages. Letters, digits, \"-\", \"_\" and \".\"." required:"yes" example:"imap"`
	Address      string `key:"address" doc:"host:port to listen on, host:FIRST-LAST for a range of ports, or unix:/path of a Unix socket, whose clients count as those of this machine. Without a host: every address of the machine." required:"yes" example:":143"`
	SocketMode   string `key:"socket_mode" doc:"Who may use a Unix socket, as the octal mode of its file, such as 0660; a reload does not change it. The file is replaced when nobody listens on it, and removed at the end." default:"0600"`
	TLS          string `key:"tls" doc:"starttls begins in clear and lets no password pass before STARTTLS; implicit is TLS from the first byte (port 993); off offers no TLS, so that only clients on the machine itself can log in." default:"starttls" enum:"off|starttls|implicit"`
	StartTLSOnly bool   `key:"starttls_only" doc:"With tls starttls: take no password before STARTTLS from clients on this machine either." default:"false"`
	Certificate  Path   `key:"certificate" doc:"PEM file with the certificate and the intermediate certificates behind it. Clients that ask for a name that no certificate has get this one. Read again on SIGHUP and when the file changes." example:"tls/imap.crt"`
	Key          Path   `key:"key" doc:"PEM file with the private key. Without it the key is looked for in the certificate's file." example:"tls/imap.key"`
	OCSPFile     Path   `key:"ocsp_file" doc:"DER file with an OCSP response about certificate, which is stapled to it. A program such as certbot's or openssl ocsp makes it; it is read again when it changes." example:"tls/imap.ocsp" print:"no"`
	KeyPasswords Path   `key:"key_password_file" doc:"File with the passwords of encrypted keys, one a line, tried in turn." example:"tls/key.passwords" print:"no"`

	TLSMin         string   `key:"tls_min" doc:"The oldest TLS version that is spoken. 1.0 and 1.1 weaken: they are broken (RFC 8996)." default:"1.2" enum:"1.0|1.1|1.2|1.3"`
	TLSMax         string   `key:"tls_max" doc:"The newest TLS version that is spoken." default:"1.3" enum:"1.0|1.1|1.2|1.3"`
	Ciphers        []string `key:"tls_ciphers" doc:"The cipher suites for TLS 1.2 and older, by their IANA or OpenSSL names. Without it: Go's safe ones. Those of TLS 1.3 are fixed, and the order is Go's." example:"[\"ECDHE-ECDSA-AES128-GCM-SHA256\", \"ECDHE-RSA-AES128-GCM-SHA256\"]" print:"no"`
	Curves         []string `key:"tls_curves" doc:"The key exchanges: X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, X25519, P-256, P-384, P-521. Without it: all that are safe." example:"[\"X25519MLKEM768\", \"X25519\", \"P-256\"]" print:"no"`
	SessionTickets bool     `key:"tls_session_tickets" doc:"Let clients resume TLS sessions by tickets (RFC 5077)." default:"true"`
	TicketKeys     []string `key:"tls_ticket_keys" doc:"Files of 32, 48 or 80 random bytes: the first encrypts tickets, all decrypt. Several proxies with the same files know each other's tickets. Without it: keys of the process's own, which change daily." example:"[\"tls/ticket.key\"]" print:"no"`

	ClientCertificates  string `key:"client_certificates" doc:"on asks for a certificate and says BYE to clients without a good one; optional lets clients without one in; optional_no_ca also those whose authority is not known." default:"off" enum:"off|on|optional|optional_no_ca"`
	ClientCA            Path   `key:"client_ca" doc:"PEM file with the authorities of client certificates; clients are told their names." example:"tls/client-ca.pem" print:"no"`
	TrustedCertificates Path   `key:"trusted_certificates" doc:"PEM file with more authorities of client certificates, whose names clients are not told." example:"tls/client-ca.pem" print:"no"`
	ClientCADepth       int    `key:"client_ca_depth" doc:"How many intermediate certificates there may be between a client's and its authority's." default:"1" min:"0" max:"10"`
	ClientCRL           Path   `key:"client_crl" doc:"File with the revocation lists (PEM or DER) of every authority in the chain. Client certificates are refused when a list is missing or out of date. Read again when it changes." example:"tls/client.crl" print:"no"`

	ProxyProtocol  string   `key:"proxy_protocol" doc:"required: each connection must begin with a PROXY protocol header (version 1 or 2, before TLS), which names the client of the balancer in front." default:"off" enum:"off|required"`
	ProxyTrusted   []string `key:"proxy_trusted" doc:"The networks (CIDR) and addresses of the balancers whose PROXY header is believed; unix: stands for whoever may use the Unix socket. Where it tells that the client speaks TLS to the balancer (PP2_TYPE_SSL), that counts as TLS." example:"[\"192.0.2.0/28\"]" print:"no"`
	ProxyUntrusted string   `key:"proxy_untrusted" doc:"What becomes of others: refuse closes without a word; ignore wants the header and does not believe it, as nginx does without set_real_ip_from." default:"refuse" enum:"refuse|ignore"`

	ReusePort bool `key:"reuseport" doc:"Share the port with other processes of the same user that say so too (SO_REUSEPORT), for an upgrade without a gap. A proxy that is started twice by mistake is then not noticed." default:"false"`
	Backlog   int  `key:"backlog" doc:"How many connections may wait to be accepted; 0 is the system's limit (net.core.somaxconn), which bounds it in any case." default:"0" min:"0" max:"65535"`
	IPv6Only  bool `key:"ipv6_only" doc:"Whether [::] and an address without a host leave IPv4 out. Without it [::] does, and no host means both." example:"true" print:"no"`

	KeepAliveIdle     time.Duration `key:"keepalive_idle" doc:"Instead of tcp.keepalive_idle, for this listener's clients." example:"30m" min:"1s" max:"2h" print:"no"`
	KeepAliveInterval time.Duration `key:"keepalive_interval" doc:"Instead of tcp.keepalive_interval, for this listener's clients." example:"10s" min:"1s" max:"10m" print:"no"`
	KeepAliveCount    int           `key:"keepalive_count" doc:"Instead of tcp.keepalive_count, for this listener's clients." example:"6" min:"1" max:"127" print:"no"`
	UserTimeout       time.Duration `key:"user_timeout" doc:"Instead of tcp.user_timeout, for this listener's clients." example:"120s" min:"1s" max:"1h" print:"no"`

	Capabilities []string      `key:"capabilities" doc:"What CAPABILITY says before the login, in this order, behind which STARTTLS, LOGINDISABLED and AUTH= are added as they hold. After the login clients get the backend's. Without it: IMAP4rev1 SASL-IR ID; with nginx_compat IMAP4 IMAP4rev1 UIDPLUS." example:"[\"IMAP4rev1\", \"SASL-IR\", \"ID\"]" print:"no"`
	Mechanisms   []string      `key:"mechanisms" doc:"The SASL mechanisms that are offered: PLAIN, LOGIN, EXTERNAL, XOAUTH2, OAUTHBEARER (the last two with auth.type http or passthrough) and CRAM-MD5 (with http). Without it: PLAIN, LOGIN, and EXTERNAL where auth.external has it; with nginx_compat PLAIN. The command LOGIN is always there, and with nginx_compat PLAIN and LOGIN are always taken." example:"[\"PLAIN\", \"XOAUTH2\", \"OAUTHBEARER\"]" print:"no"`
	Login        time.Duration `key:"login_timeout" doc:"Instead of limits.login_timeout, on this listener." example:"60s" min:"1s" max:"10m" print:"no"`
	BadCommands  int           `key:"bad_commands" doc:"Instead of limits.bad_commands, on this listener." example:"3" min:"1" max:"1000" print:"no"`

	NginxCompat       bool          `key:"nginx_compat" doc:"Speak to clients and write the log as nginx's mail proxy does: its greeting, texts and limits. docs/from-nginx.md says what that is." default:"false"`
	ClientIdle        time.Duration `key:"client_idle_timeout" doc:"With nginx_compat: how long the client may be silent after the login, whatever the backend sends (nginx's proxy_timeout). It takes the place of limits.session_idle_timeout. Without it: 24h." example:"24h" min:"1s" max:"8760h" print:"no"`
	PassBackendErrors bool          `key:"pass_backend_errors" doc:"With nginx_compat: clients read the backend's own refusal instead of \"* BAD internal server error\"." default:"false"`

	Insecure     bool          `key:"insecure" doc:"Take passwords without TLS from every client. Weakens: whoever sees the network reads the passwords." default:"false"`
	Certificates []Certificate `key:"certificates" doc:"More certificates. A client gets the one that fits the name it asks for (SNI) and the signatures it knows: names of their own, or RSA beside ECDSA." print:"no"`
	Auth         ListenerAuth  `key:"auth" doc:"The auth server of this listener, in the place of the one of auth.http; ca, max_connections and server_optional are taken from there." print:"no"`
}

// ListenerAuth is the section [listener.auth].
type ListenerAuth struct {
	Place           Place
	URL             string            `key:"url" doc:"Where to ask, as in auth.http." example:"http://127.0.0.1:9000/auth"`
	Timeout         time.Duration     `key:"timeout" doc:"How long one question may take, connecting included." default:"10s" min:"100ms" max:"60s"`
	Headers         map[string]string `key:"headers" doc:"Headers added to each request." example:"{ X-Auth-Port = \"143\" }"`
	Insecure        bool              `key:"insecure" doc:"Allow an http URL to another machine. Weakens: whoever sees the network reads the passwords." default:"false"`
	PassCertificate bool              `key:"pass_client_certificate" doc:"Send the client's certificate (Auth-SSL-Cert)." default:"false"`
}

// Certificate is an element of listener.certificates.
type Certificate struct {
	Place       Place
	Certificate Path `key:"certificate" doc:"PEM file with the certificate and the intermediate certificates behind it." required:"yes" example:"tls/imap.crt"`
	Key         Path `key:"key" doc:"PEM file with the private key. Without it the key is looked for in the certificate's file." example:"tls/imap.key"`
	OCSPFile    Path `key:"ocsp_file" doc:"DER file with an OCSP response about the certificate." example:"tls/imap.ocsp"`
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
