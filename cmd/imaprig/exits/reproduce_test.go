package exits

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestRecipes runs what a report prints as a way to see each fault, and sees its sockets. That takes no time: a socket
// is in CLOSE_WAIT as soon as the client has closed, and a server with the fault leaves it there. What comes of a
// message before the server stops is one segment, so nothing more is waited for either.
func TestRecipes(t *testing.T) {
	t.Parallel()
	rigtest.NeedPrograms(t, "python3", "ss")
	java, err := rig.StartJava(t.Context(), rig.JavaOptions{Source: rigtest.JavaSource(t), GreetingDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := java.Stop(javaStopTime); err != nil {
			t.Error(err)
		}
	})
	r := recorded(t, "direct")
	r.Backend.Address, r.Client = java.Addr(), clientInfo{"rig1", "INBOX", 1}
	seen := map[string]bool{}
	for _, v := range verdicts(r) {
		x, ok := recipeFor(r, v)
		if ok == noFault(v.Fault) {
			t.Errorf("%s: there is a recipe: %v; want one for a fault, %q is found", v.Mode, ok, v.Fault)
		}
		if !ok {
			continue
		}
		seen[v.Fault] = true
		t.Run(v.Mode, func(t *testing.T) { checkRecipe(t, java, x) })
	}
	if len(seen) < 11 {
		t.Errorf("recipes of %d faults were run, want 11 or more", len(seen))
	}
}

func checkRecipe(t *testing.T, java *rig.JavaBackend, x recipe) {
	for _, err := range []error{java.SetMode(t.Context(), x.Mode), java.CloseAll(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(x.Script, "\n"); n > 20 {
		t.Errorf("%d lines, want 20 at most", n)
	}
	script := strings.NewReplacer("time.sleep(10)", "", "time.sleep(1)", "pass", "settimeout(3)", "settimeout(.1)").
		Replace(x.Script)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "python3", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, script)
	}
	if n := strings.Count(string(out), fmt.Sprintf(":%d ", java.Port)); n != reproduceSessions {
		t.Errorf("%d sockets, want %d: %s\n%s", n, reproduceSessions, out, script)
	}
	if !strings.Contains(x.Shows, "5 sockets in") {
		t.Errorf("it is said to show %q", x.Shows)
	}
}
