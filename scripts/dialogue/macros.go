package dialogue

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	macroRepeat = regexp.MustCompile(`<([^<>]+)\*(\d+)>`)
	macroBase64 = regexp.MustCompile(`<b64 ([^>]*)>`)
)

// maxRepeat bounds <text*N>, which is a slip of the pen above it.
const maxRepeat = 1_000_000

// expand replaces the macros of a text.
func (f *Format) expand(s string) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(f.Macros)) {
		s = strings.ReplaceAll(s, "<"+name+">", f.Macros[name])
	}
	var failed error
	s = macroRepeat.ReplaceAllStringFunc(s, func(macro string) string {
		parts := macroRepeat.FindStringSubmatch(macro)
		n, err := strconv.Atoi(parts[2])
		if err != nil || n > maxRepeat {
			failed = errors.Join(failed, fmt.Errorf("%s: at most %d times", macro, maxRepeat))
			return macro
		}
		return strings.Repeat(parts[1], n)
	})
	s = macroBase64.ReplaceAllStringFunc(s, func(macro string) string {
		text, err := strconv.Unquote(macroBase64.FindStringSubmatch(macro)[1])
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%.100s is not quoted as in Go: %w", macro, err))
		}
		return base64.StdEncoding.EncodeToString([]byte(text))
	})
	return s, failed
}
