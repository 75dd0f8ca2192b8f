package convert

import "testing"

// TestKeptSessions reads the words of ssl_session_cache; -1 is an error.
func TestKeptSessions(t *testing.T) {
	most := countBoundsOf("listener.tls_session_cache").Most
	for word, want := range map[string]int{
		"off": 0, "none": 0, "off:1": -1, "builtin": 20480, "builtin:1000": 1000, "builtin:0": most, "builtin:x": -1,
		"shared:SSL:1m": 4000, "shared:SSL:32k": 125, "shared:SSL:31k": -1, "shared:SSL": -1, "shared::1m": -1,
		"memory": -1,
	} {
		got, err := keptSessions(word)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%s: %d sessions, want %d (%v)", word, got, want, err)
		}
	}
}

// TestIsOneLog says which places of a log fit into [log], which has one level, one
// file and one syslog server, or standard error.
func TestIsOneLog(t *testing.T) {
	file := logPlace{key: "file", value: "a", level: "info"}
	otherFile := logPlace{key: "file", value: "b", level: "info"}
	syslog, errors := logPlace{key: "syslog", level: "info"}, logPlace{key: "syslog", level: "error"}
	stderr := logPlace{level: "info"}
	for _, c := range []struct {
		places []logPlace
		want   bool
	}{
		{nil, false}, {[]logPlace{file}, true}, {[]logPlace{stderr}, true}, {[]logPlace{file, syslog}, true},
		{[]logPlace{file, otherFile}, false}, {[]logPlace{file, errors}, false}, {[]logPlace{file, stderr}, false},
		{[]logPlace{stderr, file}, false},
	} {
		if got := isOneLog(c.places); got != c.want {
			t.Errorf("%+v: %v", c.places, got)
		}
	}
}

// TestFindInBlocks finds a block at any depth, and nothing that is no block.
func TestFindInBlocks(t *testing.T) {
	server := &statement{name: "server", opens: true}
	mail := &statement{name: "mail", opens: true, block: []*statement{{name: "server"}, server}}
	for _, top := range [][]*statement{{server}, {mail}, {{name: "x", opens: true, block: []*statement{mail}}}} {
		if got := find(top, []string{"server"}); got != server {
			t.Errorf("found %+v", got)
		}
	}
	if got := find([]*statement{mail}, []string{"http"}); got != nil {
		t.Errorf("found %+v", got)
	}
}
