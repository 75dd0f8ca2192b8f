package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"imapproxy/backend"
)

// poolTable is what imapproxy pool prints of a proxy with one connection in
// use, one login that waits for it, and one idle connection of another target.
// Times are N.
const poolTable = `TARGET LEASED WAITING IDLE CHECKING RESETTING DIALLING SPARE MAXWAIT HITS MISSES WAITS NOT REUSED
one 1 1 0 0 0 0 0 N 0 1 1 -
two 0 0 1 0 0 0 0 N 1 2 0 unknown=1
(all) 1 1 1 0 0 0 0 N 1 3 1 unknown=1
`

// TestPoolCommand: what the table and --json say is what the pools do.
func TestPoolCommand(t *testing.T) {
	r := newAdminRig(t, onSocket)
	r.rest = strings.ReplaceAll(r.rest, `"], tls = "off" }`,
		`"], tls = "off", pool = { mode = "on", max_per_user = 1 } }`)
	r.configure(onSocket)
	r.signal(syscall.SIGHUP)
	r.logged("reloaded; running sessions")
	alice := r.login("alice")
	for _, command := range []string{"XUNKNOWN", "NOOP", "NOOP"} {
		bob := r.login("bob")
		bob.says("c " + command + "\r\n")
		bob.reads("c ")
		r.leave(bob)
		r.rests("two") // or the next login waits
	}
	waiting := r.connect()
	waiting.says("w LOGIN alice " + canary + "\r\n")
	times := regexp.MustCompile(`\b[\d.]+m?s `)
	eventually(t, "the table", func() (bool, string) {
		_, out, _ := runIn(t, r.folder, "", "pool", "--admin", r.address())
		return times.ReplaceAllString(squeezed(out), "N ") == poolTable, out
	})
	code, out, stderr := runIn(t, r.folder, "", "pool", "--json", "--admin", r.address())
	var list []backend.PoolStats
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitOK {
		t.Fatalf("code %d, %v\n%s%s", code, err, out, stderr)
	}
	if len(list) != 2 || list[0].Target != "one" || list[0].Leased != 1 || list[0].Waiting != 1 ||
		list[0].MaxWait <= 0 || list[1].Idle != 1 || list[1].Hits != 1 {
		t.Errorf("%s", out)
	}
	r.leave(alice)
	waiting.reads("w OK")
	r.leave(waiting)
	r.rests("one")
}

// leave logs out.
func (r *adminRig) leave(u *mailUser) {
	r.t.Helper()
	u.says("z LOGOUT\r\n")
	u.farewell()
}

// rests waits until the connections to a target are in the pool or gone.
func (r *adminRig) rests(target string) {
	r.t.Helper()
	eventually(r.t, "rest", func() (bool, string) {
		_, out, _ := runIn(r.t, r.folder, "", "pool", "--json", "--admin", r.address())
		var list []backend.PoolStats
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return false, err.Error() + out
		}
		i := slices.IndexFunc(list, func(p backend.PoolStats) bool { return p.Target == target })
		return i >= 0 && list[i].Leased+list[i].Resetting+list[i].Ending == 0, out
	})
}

// squeezed has one blank where there are more.
func squeezed(text string) string {
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}
