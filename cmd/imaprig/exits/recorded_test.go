package exits

import (
	"bufio"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

// recorded returns a run of all cells of the Java program, as it was counted once, through these proxies. A line of the
// file is proxy, mode, ending, and a count for each time: seconds, the server's sockets in CLOSE_WAIT, the most that
// one has not read, those in ESTABLISHED, descriptors of proxy and server.
func recorded(t *testing.T, proxies ...string) *runResult {
	t.Helper()
	r := &runResult{Sessions: 5, After: []float64{1, 10, 30, 70}, Settings: settingsTuned,
		Backend: backendInfo{Kind: kindJava, Name: "the Java program of the rig",
			Source: "testdata/javabackend/JavaBackend.java"}, Client: clientInfo{"rig1", "INBOX", 1}}
	for _, name := range proxies {
		r.Proxies = append(r.Proxies, proxyResult{Name: name, Direct: name == proxyDirect})
	}
	lines := bufio.NewScanner(strings.NewReader(rigtest.ReadFile(t, filepath.Join("testdata", "java.counts"))))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		i := slices.IndexFunc(r.Proxies, func(p proxyResult) bool { return p.Name == words[0] })
		if i < 0 {
			continue
		}
		c := &cellResult{cell: cell{words[1], words[2]}, direct: r.Proxies[i].Direct, Sessions: 5}
		for _, word := range words[3:] {
			c.Counts = append(c.Counts, recordedCount(t, word))
			c.Opened, c.Expected, c.Reached = 5, 5, 5
		}
		if len(words) == 3 {
			c.NotRun = "it was not"
		}
		c.Misses = judge(c)
		r.Proxies[i].Cells = append(r.Proxies[i].Cells, c)
	}
	r.Verdicts = verdicts(r)
	return r
}

func recordedCount(t *testing.T, text string) count {
	t.Helper()
	at := count{Backend: states{}}
	var closeWait, established int
	var unread uint64
	if _, err := fmt.Sscanf(text, "%g:%d:%d:%d:%d:%d", &at.Planned, &closeWait, &unread, &established, &at.ProxyFDs,
		&at.JavaFDs); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	at.Seconds = at.Planned
	for state, n := range map[wire.State]int{wire.StateCloseWait: closeWait, wire.StateEstablished: established} {
		if n > 0 {
			at.Backend[state] = stateCount{Sockets: n, MinRecvQ: unread, MaxRecvQ: unread}
		}
	}
	return at
}
