package imapproxy

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

// The fault matrix: for every phase of a session and every reason to end, what
// both sides of the proxy must see. testdata/fault-matrix.json holds the
// cells; `make matrix` runs each one 20 times, and each pair of reasons 50
// times, with the fault points built in.
var (
	matrixRepeats = flag.Int("matrix.repeats", 2, "how often each cell of the fault matrix runs")
	pairRepeats   = flag.Int("matrix.pairs", 1, "how often each pair of reasons runs")
)

// matrixCell is one cell. Client side:
//
//	X      closed, nothing more said
//	AL     TLS alert, then closed
//	BYE    * BYE, then closed
//	BYE?   the same where a line may stand for sure, else X
//	NO     tagged NO, and the connection stays
//	NO+BYE both
//	ERR    tagged BAD, counted, closed at the third
//	CUT    reset in the middle of something, no BYE
//	D      finishes what goes on, then BYE
//	Q      waits in the backlog
//	=      not disturbed
//
// Backend side: X closed; L after LOGOUT; P as L, where there is no pool; 0
// none is left of the dial; D, = likewise; - there is none.
type matrixCell struct{ Phase, Reason, Client, Backend string }

func (c matrixCell) String() string { return c.Phase + "/" + c.Reason }

// readMatrix reads the cells.
func readMatrix(t testing.TB) []matrixCell {
	t.Helper()
	text, err := os.ReadFile("testdata/fault-matrix.json")
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Cells []matrixCell }
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m.Cells
}

// isOfPool reports whether a cell is run by matrix_pool_test.go or
// matrix_poolwait_test.go.
func isOfPool(c matrixCell) bool { return c.Phase == "pool_wait" || poolPhases[c.Phase].enter != nil }

// poolCellRuns reports whether one of these can be run.
func poolCellRuns(c matrixCell) bool {
	if c.Phase == "pool_wait" {
		return waitReasons[c.Reason] != nil
	}
	return poolReasons[c.Reason] != nil && (!isPanic(c) || poolPanics[c.String()] != "")
}

// isPanic reports whether a cell needs the fault points.
func isPanic(c matrixCell) bool { return strings.HasPrefix(c.Reason, "panic_") }

// isVanish reports whether a cell waits for the kernel's own time-outs.
func isVanish(c matrixCell) bool { return strings.HasSuffix(c.Reason, "_vanish") }

// interpretation is where the proxy does something else than the table says,
// and why that is right.
type interpretation struct {
	phases, reasons string // words
	client, backend string // in the table's place; "" leaves it
	end             endReason
	why             string
}

var interpretations = []interpretation{
	{phases: "tls_handshake", reasons: "timeout", client: "X",
		why: "TLS has no alert that says so, and crypto/tls gives no way to send one in a handshake that hangs"},
	{phases: "accepted", reasons: "c_protocol", end: endOverload,
		why: "nothing has been said yet, so the limit is the one on sessions"},
	{phases: "accepted tls_handshake", reasons: "panic_supervisor", client: "X",
		why: "within TLS no line can stand before the handshake is over"},
	{phases: "auth_pending routing_pending dialing", reasons: "shutdown", client: "NO+BYE",
		why: "the login that is asked for gets its tagged answer in front of BYE, as in the later phases"},
	{phases: "routing_pending dialing backend_tls backend_greeting backend_login", reasons: "panic_backend_side",
		client: "BYE",
		why: "until the relay the session's own goroutine reads the backend; after a panic in it nothing is trusted " +
			"any more"},
	{phases: "half_closed_by_client", reasons: "b_protocol",
		why: "the junk stands in an untagged line: one that can't be told from a tagged answer leaves nothing to " +
			"wait for, and the session ends"},
	{phases: "relay_literal_c2s", reasons: "shutdown", backend: "D",
		why: "D is LOGOUT after the literal's command"},
	{phases: "relay_literal_s2c", reasons: "c_fin", end: endClientAborted,
		why: "FIN without more is half_closed_by_client; a client that has closed altogether answers the rest of the " +
			"literal with a reset"},
	{phases: "relay_unanswered", reasons: "c_fin", end: endHalfClose,
		why: "it looks like a half-close; the backend owes an answer, and is silent for the limit"},
	{phases: "compress_active", reasons: "b_fin b_rst b_vanish timeout kick panic_client_side panic_backend_side " +
		"panic_supervisor", client: "CUT",
		why: "in compressed bytes no line's end can be told: no BYE into the middle of a block, and no FIN that " +
			"makes it look whole"},
	{phases: "compress_active", reasons: "b_protocol", client: "=", backend: "=",
		why: "the proxy does not decompress, so it can't know"},
	{phases: "compress_active", reasons: "shutdown", client: "CUT", backend: "X",
		why: "no safe point ever comes: cut at the drain limit, without a LOGOUT into compressed bytes"},
	{phases: "half_closed_by_backend", reasons: "timeout kick shutdown panic_client_side panic_supervisor",
		client: "CUT", backend: "X",
		why: "only a client that does not read keeps the session in this phase, and it stands inside a line; the " +
			"backend has closed, so it is asked nothing"},
	{phases: "half_closed_by_backend", reasons: "b_rst b_vanish", client: "BYE", end: endBackendClosed,
		why: "the FIN came first and all that was said is in our hands: the client reads it, then BYE"},
	{phases: "half_closed_by_backend", reasons: "c_fin", end: endClientAborted,
		why: "what is still on its way to a client that has closed is answered with a reset"},
	{phases: "half_closed_by_client", reasons: "panic_client_side",
		why: "the panic hits as the FIN is read; after it nothing of this goroutine runs but the wait for a reset"},
	{phases: "draining", reasons: "c_fin",
		why: "the FIN leaves an answer outstanding, which the client still reads"},
	{phases: "shutdown_running", reasons: "timeout", backend: "X",
		why: "the session stands in the client's literal, where LOGOUT would become mail"},
	{phases: "draining shutdown_running", reasons: "timeout", end: endShutdown,
		why: "the limit is the drain's own"},
}

// interpreted applies the table to a cell and gives the reason to expect.
func interpreted(c matrixCell) (matrixCell, endReason) {
	end := usualEnd(c)
	for _, i := range interpretations {
		if !slices.Contains(strings.Fields(i.phases), c.Phase) || !slices.Contains(strings.Fields(i.reasons),
			c.Reason) {
			continue
		}
		if i.client != "" {
			c.Client = i.client
		}
		if i.backend != "" {
			c.Backend = i.backend
		}
		if i.end != "" {
			end = i.end
		}
	}
	return c, end
}

// usualEnd is the end's reason that belongs to the injected one.
func usualEnd(c matrixCell) endReason {
	switch c.Reason {
	case "c_fin":
		return endClientClosed
	case "c_rst":
		return endClientAborted
	case "c_vanish":
		return endClientVanished
	case "c_protocol", "cert_bad":
		if c.Phase == "tls_handshake" {
			return endClientTLS
		}
		return endClientProtocol
	case "b_fin":
		return endBackendClosed
	case "b_rst":
		return endBackendAborted
	case "b_vanish":
		return endBackendVanished
	case "b_bye":
		return endHalfClose
	case "timeout":
		return usualTimeout(c.Phase)
	case "kick":
		return endKicked
	case "shutdown":
		return endShutdown
	}
	return endPanic
}

func usualTimeout(phase string) endReason {
	switch {
	case strings.HasPrefix(phase, "half_closed"):
		return endHalfClose
	case strings.HasPrefix(phase, "relay"), phase == "compress_active", phase == "reload_running":
		return endIdleTimeout
	}
	return endLoginTimeout
}

// TestMatrixIsWhole finds cells that nothing runs, features whose cells wait
// no longer, and interpretations of cells that don't exist.
func TestMatrixIsWhole(t *testing.T) {
	cells := readMatrix(t)
	if len(cells) != 462 {
		t.Errorf("%d cells, want 462", len(cells))
	}
	known := map[string]bool{}
	for _, c := range cells {
		known[c.String()] = true
		c, _ = sizeOf(c)
		_, there := matrixPhases[c.Phase]
		switch {
		case isOfPool(c):
			if !poolCellRuns(c) {
				t.Errorf("%s: no test makes that happen", c)
			}
		case !there:
			t.Errorf("%s: no test brings a session there", c)
		case isPanic(c):
			if _, found := panicPoints[c.String()]; !found {
				t.Errorf("%s: no fault point", c)
			}
		case injection(c) == nil:
			t.Errorf("%s: no test makes that happen", c)
		}
	}
	for cell := range poolInterpretations {
		if !known[cell] {
			t.Errorf("the interpretation of %s is of no cell", cell)
		}
	}
	for _, i := range interpretations {
		for _, p := range strings.Fields(i.phases) {
			for _, r := range strings.Fields(i.reasons) {
				if !known[p+"/"+r] {
					t.Errorf("the interpretation of %s/%s is of no cell", p, r)
				}
			}
		}
	}
}
