package config

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// TestDecodedValues looks at what a full file becomes.
func TestDecodedValues(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "full.toml")
	mustWrite(t, name, mustRead(t, "../testdata/config/good_full.toml"))
	c, r := Load(name)
	if r.Failed() {
		t.Fatal(r.Sorted())
	}
	tests := []struct {
		what      string
		got, want any
	}{
		{"hostname", c.Hostname, "imap.example.org"},
		{"log.level", c.Log.Level, "debug"},
		{"listeners", len(c.Listeners), 2},
		{"listener key", c.Listeners[1].Key, Path(filepath.Join(folder, "tls/imap.key"))},
		{"listener tls_min", []string{c.Listeners[0].TLSMin, c.Listeners[1].TLSMin}, []string{"1.3", "1.2"}},
		{"limits login", c.Limits.Login, 90 * time.Second},
		{"limits idle", c.Limits.Idle, time.Hour},
		{"sessions", c.Limits.Sessions, 500},
		{"admin", []string{c.Admin.Address, string(c.Admin.TokenFile)},
			[]string{"127.0.0.1:9143", filepath.Join(folder, "admin.token")}},
		{"headers", c.Auth.HTTP.Headers, map[string]string{"X-Auth-Key": "abc", "X-Site": "one"}},
		{"server_optional", c.Auth.HTTP.ServerOptional, true},
		{"allow", c.Route.Allow, []string{"10.0.0.0/24:993", "imap9.example.org:993"}},
		{"verify default", c.Targets[1].Verify, true},
		{"forward_id", []bool{c.Targets[0].ForwardID, c.Targets[1].ForwardID}, []bool{false, true}},
		{"connect limits", []time.Duration{c.Targets[0].ConnectLimit, c.Targets[1].ConnectLimit},
			[]time.Duration{5 * time.Second, 2 * time.Second}},
		{"place", c.Targets[1].Place.line("server_name"), 77},
	}
	for _, tt := range tests {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}
