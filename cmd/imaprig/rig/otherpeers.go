package rig

import (
	"fmt"
	"os"
	"strings"
)

func perditionPeer() Peer {
	return Peer{
		Name: "perdition", Programs: []string{"perdition"}, version: []string{"--help"},
		literals: true,
		tuning:   "nothing: it has no setting for keep-alive or half-closed connections",
		Packages: "apt-get install perdition", Prepare: preparePerdition,
	}
}

// preparePerdition returns the whole configuration as arguments.
func preparePerdition(s *PeerSetup) ([]string, error) {
	var addrs []string
	for _, a := range s.Listen {
		addrs = append(addrs, a.String())
	}
	return []string{
		"--no_daemon", "--config_file", os.DevNull, "--pid_file", s.Path("pid"), "--log_facility", "-",
		"--protocol", "IMAP4", "--bind_address", strings.Join(addrs, ","), "--no_bind_banner", "--no_lookup",
		"--map_library", "", "--outgoing_server", s.backend.Addr().String(),
		"--outgoing_port", portText(s.backend.Port()),
	}, nil
}

// HAProxyPeer returns HAProxy in TCP mode.
func HAProxyPeer() Peer {
	return Peer{
		Name: "haproxy", Programs: []string{"haproxy"}, version: []string{"-v"},
		Settings: "TCP mode, timeouts of 24 hours",
		tuning: "keep-alive 15s, 5s, 3 and tcp-ut 20s on both sides, client-fin and server-fin 5s as imapproxy " +
			"has half_close_idle",
		Packages: "apt-get install haproxy", Prepare: prepareHAProxy,
	}
}

const (
	haproxyTuned = `	timeout client-fin 5s
	timeout server-fin 5s
	option clitcpka
	clitcpka-idle 15s
	clitcpka-intvl 5s
	clitcpka-cnt 3
	option srvtcpka
	srvtcpka-idle 15s
	srvtcpka-intvl 5s
	srvtcpka-cnt 3
`
	haproxyUserTimeout = " tcp-ut 20s"
)

func prepareHAProxy(s *PeerSetup) ([]string, error) {
	conf := fmt.Sprintf(`global
	maxconn %d
defaults
	mode tcp
	timeout connect 5s
	timeout client 24h
	timeout server 24h
%sfrontend imap
%s	default_backend java
backend java
	server java %s%s
`, OpenFileLimit()/3, s.ifTuned(haproxyTuned), s.perAddress("\tbind %s"+s.ifTuned(haproxyUserTimeout)+"\n"), s.backend,
		s.ifTuned(haproxyUserTimeout))
	return []string{"-db", "-f", s.Path("haproxy.cfg")}, s.WriteFile("haproxy.cfg", conf)
}

func dovecotPeer() Peer {
	return Peer{
		Name: "dovecot", Programs: []string{"dovecot"}, version: []string{"--version"},
		Settings: "one imap-login process for all sessions",
		tuning:   "no more: it has no setting for keep-alive or half-closed connections",
		Packages: "apt-get install dovecot-imapd", Prepare: prepareDovecot,
	}
}

// prepareDovecot makes it a proxy for every user; the backend judges the password. It takes one address and one port
// for each listener.
func prepareDovecot(s *PeerSetup) ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("root is needed: it changes to users of its own")
	}
	var listeners strings.Builder
	for i, a := range s.Listen {
		fmt.Fprintf(&listeners, "  inet_listener rig%d {\n    address = %s\n    port = %d\n  }\n", i, a.Addr(),
			a.Port())
	}
	conf := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = imap
ssl = no
auth_mechanisms = plain login
disable_plaintext_auth = no
auth_failure_delay = 0
mail_max_userip_connections = 0
passdb {
  driver = static
  args = proxy=y nopassword=y host=%[5]s port=%[2]d
}
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 0
  }
%[3]s  service_count = 0
  process_limit = 1
  client_limit = %[4]d
  vsz_limit = 0
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`, s.Dir, s.backend.Port(), listeners.String(), OpenFileLimit()/3, s.backend.Addr())
	if err := os.Chmod(s.Dir, 0o755); err != nil { // its login processes have a user of their own
		return nil, err
	}
	return []string{"-F", "-c", s.Path("dovecot.conf")}, s.WriteFile("dovecot.conf", conf)
}
