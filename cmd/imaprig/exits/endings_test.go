package exits

import (
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

// TestLiteralsAtThreshold wants literals that the relay's loop copies, and such that it hands to the kernel even where
// they break off in the middle.
func TestLiteralsAtThreshold(t *testing.T) {
	source := rigtest.ReadFile(t, filepath.Join(rigtest.Root(t), "imapproxy", "pipes.go"))
	found := regexp.MustCompile(`\n\tspliceLeast = (\d+) << 10 `).FindStringSubmatch(source)
	if found == nil {
		t.Fatal("imapproxy/pipes.go has no spliceLeast")
	}
	kib, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	if least := kib << 10; smallLiteral >= least || largeLiteral/2 <= least || javaMessage/2 <= least {
		t.Errorf("literals of %d, %d and %d bytes, the threshold is %d", smallLiteral, largeLiteral, javaMessage, least)
	}
}
