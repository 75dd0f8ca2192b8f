package convert

import (
	"fmt"
	"strings"
)

// perditionOption is what is known of an option of perdition 2.2.
type perditionOption struct {
	long  string
	short string
	arg   bool
	why   string // why it is not needed; "" when a step takes it
}

const (
	unitsWork = "imapproxy's unit does it"
	noPOP     = "imapproxy speaks only IMAP"
)

// perditionOptions are all options of perdition(8).
var perditionOptions = []perditionOption{
	{"add_domain", "A", true, ""},
	{"authenticate_in", "a", false, ""},
	{"authenticate_timeout", "", true, ""},
	{"no_bind_banner", "B", false, "the greeting names the machine or hostname, never an address"},
	{"bind_address", "b", true, ""},
	{"connection_logging", "C", false, "the dialogue is never logged: it holds mail and passwords"},
	{"connect_relog", "", true, ""},
	{"client_server_specification", "c", false, ""},
	{"domain_delimiter", "D", true, ""},
	{"debug", "d", false, ""},
	{"explicit_domain", "e", true, ""},
	{"log_facility", "F", true, ""},
	{"config_file", "f", true, "it counts only on the command line, and there it has been followed"},
	{"group", "g", true, unitsWork},
	{"help", "h", false, "it only prints the help"},
	{"inetd_mode", "i", false, "imapproxy listens itself"},
	{"capability", "I", true, "the capabilities are what imapproxy has, and the backend's own after the login"},
	{"imap_capability", "", true, "the capabilities are what imapproxy has, and the backend's own after the login"},
	{"managesieve_capability", "", true, noPOP},
	{"pop_capability", "", true, noPOP},
	{"connection_limit", "L", true, ""},
	{"listen_port", "l", true, ""},
	{"log_passwd", "", true, ""},
	{"map_library", "M", true, ""},
	{"map_library_opt", "m", true, ""},
	{"no_lookup", "n", false, "no names are looked up for the log, and ports are numbers"},
	{"ok_line", "O", true, ""},
	{"server_ok_line", "", false, "clients always read the backend's own answer"},
	{"server_resp_line", "o", false, "clients always read the backend's own answer"},
	{"protocol", "P", true, ""},
	{"outgoing_port", "p", true, ""},
	{"strip_domain", "S", true, ""},
	{"outgoing_server", "s", true, ""},
	{"timeout", "t", true, ""},
	{"username", "u", true, unitsWork},
	{"username_from_database", "U", false, ""},
	{"quiet", "q", false, "each session leaves one line"},
	{"query_key", "", true, ""},
	{"login_disabled", "", false, ""},
	{"lower_case", "", true, ""},
	{"pid_file", "", true, "systemd knows the process; there is no pid file"},
	{"no_daemon", "", false, "imapproxy serve stays in the foreground anyway"},
	{"tcp_keepalive", "", false, "it is always on, see [tcp]"},
	{"ssl_mode", "", true, ""},
	{"ssl_ca_chain_file", "", true, ""},
	{"ssl_ca_file", "", true, ""},
	{"ssl_ca_path", "", true, ""},
	{"ssl_ca_accept_self_signed", "", false, ""},
	{"ssl_cert_file", "", true, ""},
	{"ssl_dh_params_file", "", true, "imapproxy has only ECDHE, no finite-field DH"},
	{"ssl_cert_accept_expired", "", false, ""},
	{"ssl_cert_accept_not_yet_valid", "", false, ""},
	{"ssl_cert_accept_self_signed", "", false, ""},
	{"ssl_cert_verify_depth", "", true, "chains may be as long as the authorities make them"},
	{"ssl_key_file", "", true, ""},
	{"ssl_listen_ciphers", "", true, ""},
	{"ssl_outgoing_ciphers", "", true, ""},
	{"ssl_no_cert_verify", "", false, ""},
	{"ssl_no_client_cert_verify", "", false, "clients are not asked for certificates"},
	{"ssl_no_cn_verify", "", false, ""},
	{"ssl_passphrase_fd", "", true, ""},
	{"ssl_passphrase_file", "", true, ""},
	{"ssl_listen_min_proto_version", "", true, ""},
	{"ssl_outgoing_min_proto_version", "", true, ""},
	{"ssl_listen_max_proto_version", "", true, ""},
	{"ssl_outgoing_max_proto_version", "", true, ""},
	{"ssl_listen_compression", "", false, "TLS is never compressed: that gives secrets away (CRIME)"},
	{"ssl_outgoing_compression", "", false, "TLS is never compressed: that gives secrets away (CRIME)"},
	{"ssl_no_cipher_server_preference", "", false, "the order is chosen by what both machines do fast"},
}

// findPerditionOption finds an option by its long or short name.
func findPerditionOption(name string) (perditionOption, bool) {
	for _, o := range perditionOptions {
		if o.long == name || o.short != "" && o.short == name {
			return o, true
		}
	}
	return perditionOption{}, false
}

// use is one option as it is given, in a file or on a command line.
type use struct {
	option perditionOption
	value  string
	at     *statement // for its finding
}

// confUses reads the options of a perdition.conf.
func (c *perditionConverter) confUses(shown, text string) []*use {
	lines, err := readVanessa(text)
	if err != nil {
		c.refuseFile(shown, err)
		return nil
	}
	var uses []*use
	for _, l := range lines {
		at := &statement{name: l.words[0], file: shown, line: l.line}
		c.order = append(c.order, at)
		name, value, joined := strings.Cut(l.words[0], "=")
		if !joined {
			value = l.rest
		}
		option, known := findPerditionOption(name)
		if len(l.words) > 1 {
			at.args = []string{shownValue(option, l.rest)}
		} else if joined {
			at.name = name + "=" + shownValue(option, value)
		}
		switch why := badUse(l, option, known && (!joined || len(name) > 1), joined); {
		case why != "":
			c.refuse(at, "%s", why)
		default:
			uses = append(uses, &use{option, value, at})
		}
	}
	return uses
}

const (
	startsNot = "perdition does not start with this line: "
	readsNot  = ", and perdition reads nothing of the file after it"
)

// badUse returns what is wrong with a line of perdition.conf. perdition makes
// "--KEY" and "VALUE" of it, which leaves KEY=VALUE possible for long names.
func badUse(l wordLine, option perditionOption, known, joined bool) string {
	switch {
	case l.indented:
		return startsNot + "it takes an indented line for a stray word; move it to the line's beginning or remove it"
	case !known:
		return "unknown option: perdition 2.2 does not have it" + readsNot
	case joined && !option.arg:
		return "it takes no value" + readsNot
	case joined && len(l.words) > 1:
		return startsNot + "after KEY=VALUE nothing may follow; write KEY VALUE"
	case !option.arg && len(l.words) > 1:
		return startsNot + "it takes no value; to switch it off, remove the line"
	case option.arg && !joined && len(l.words) == 1:
		return "it has no value, and perdition takes the next line's first word for it"
	case option.arg && option.why == "" && strings.HasPrefix(l.rest, "="):
		return "perdition takes the = for a part of the value: write KEY VALUE or KEY=VALUE"
	}
	return ""
}

// lineUses reads the options of a command line, in popt's ways: -l 143, -l143,
// --listen_port 143, --listen_port=143, -dn.
func (c *perditionConverter) lineUses(words []string, file string, line int) []*use {
	var uses []*use
	for i := 0; i < len(words); i++ {
		word := words[i]
		at := &statement{name: word, file: file, line: line}
		c.order = append(c.order, at)
		name, value, hasValue := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if !strings.HasPrefix(word, "--") {
			if len(word) < 2 || word[0] != '-' {
				c.refuse(at, "not an option")
				continue
			}
			name, value, hasValue = word[1:2], strings.TrimPrefix(word[2:], "="), len(word) > 2
		}
		option, known := findPerditionOption(name)
		switch {
		case !known:
			c.refuse(at, "unknown option: perdition 2.2 does not have it")
			continue
		case !option.arg && hasValue && word[1] != '-':
			words[i] = "-" + word[2:] // -dn is -d -n
			at.name = "-" + name
			i--
		case !option.arg && hasValue:
			c.refuse(at, "it takes no value")
			continue
		case option.arg && !hasValue:
			if i+1 == len(words) {
				c.refuse(at, "it has no value")
				continue
			}
			i++
			value = words[i]
			at.args = []string{shownValue(option, value)}
		case option.arg:
			at.name = strings.TrimSuffix(strings.TrimSuffix(word, value), "=")
			at.args = []string{shownValue(option, value)}
		}
		uses = append(uses, &use{option, value, at})
	}
	return uses
}

// shownValue is a value as a report shows it: a database's parameters hold its
// password.
func shownValue(option perditionOption, value string) string {
	if option.long == "map_library_opt" && strings.ContainsAny(value, ":?,") {
		return "(not shown)"
	}
	return value
}

// fileFirst are options that perdition takes from the file even when the
// command line has them: it looks at the wrong mask (options.c, -b, -s and
// --query_key in 2.2).
var fileFirst = map[string]bool{"bind_address": true, "outgoing_server": true, "query_key": true}

// addUp are options that a second time adds to.
var addUp = map[string]bool{"add_domain": true, "strip_domain": true, "lower_case": true, "ssl_mode": true}

// coveredBy names for an option the other one that shares its bit in perdition's
// mask of what the command line has: when that is on the command line, the
// file's option is lost.
var coveredBy = map[string]string{
	"ssl_listen_ciphers": "ssl_outgoing_ciphers", "ssl_outgoing_ciphers": "ssl_listen_ciphers",
	"ssl_no_cert_verify": "ssl_no_client_cert_verify", "ssl_no_client_cert_verify": "ssl_no_cert_verify",
	"debug": "connection_logging", "connection_logging": "debug",
}

// settle decides between the command line and the file. lost are options of the
// file that perdition does not take although the command line lacks them.
func settle(line, file []*use) (settled map[string][]*use, lost []*use) {
	settled = map[string][]*use{}
	for _, o := range perditionOptions {
		first, second := usesOf(line, o.long), usesOf(file, o.long)
		if fileFirst[o.long] {
			first, second = second, first
		}
		switch {
		case len(first) > 0:
		case len(usesOf(line, coveredBy[o.long])) > 0:
			lost = append(lost, second...)
		default:
			first = second
		}
		if len(first) > 1 && !addUp[o.long] {
			first = first[len(first)-1:]
		}
		if len(first) > 0 {
			settled[o.long] = first
		}
	}
	return settled, lost
}

func usesOf(all []*use, long string) []*use {
	var some []*use
	for _, u := range all {
		if u.option.long == long {
			some = append(some, u)
		}
	}
	return some
}

// number reads a use's value as a number.
func (c *perditionConverter) number(u *use) (int, bool) {
	n, err := parseNginxNumber(u.value)
	if err != nil {
		c.refuse(u.at, "a number is expected, not %q", u.value)
		return 0, false
	}
	return n, true
}

// refuseFile refuses a whole file.
func (c *perditionConverter) refuseFile(shown string, err error) {
	at := &statement{file: shown, line: 0}
	text := fmt.Sprint(err)
	if bad, ok := err.(*badConf); ok {
		at.line, text = bad.line, bad.text
	}
	c.order = append(c.order, at)
	c.refuse(at, "%s", text)
}
