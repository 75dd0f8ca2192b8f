package cli

import (
	"errors"
	"flag"
	"io"
	"testing"
	"time"
)

// exampleFlags has a flag of each kind.
func exampleFlags() *flag.FlagSet {
	fs := flag.NewFlagSet("t", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.String("address", "", "connect to `HOST:PORT`")
	fs.String("user", "alice", "log in as `NAME`")
	fs.String("word", "", "say this")
	fs.Int("rounds", 0, "run this often")
	fs.Int("sessions", 20, "how many (without it: as many as the mode has)")
	fs.Duration("limit", time.Second, "wait")
	fs.Bool("once", false, "look once")
	fs.String("o", "", "write `FILE`")
	fs.Func("login-for", "stay for `TIMES`", func(string) error { return errors.New("parse error") })
	return fs
}

func TestFlagsHelp(t *testing.T) {
	want := `Flags:
  --address HOST:PORT    connect to HOST:PORT
  --limit TIME           wait (without it: 1s)
  --login-for TIMES      stay for TIMES
  -o FILE                write FILE
  --once                 look once
  --rounds NUMBER        run this often
  --sessions NUMBER      how many (without it: as many as the mode has)
  --user NAME            log in as NAME (without it: alice)
  --word TEXT            say this
`
	if got := FlagsHelp(FlagsOf(exampleFlags())); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := FlagsHelp(nil); got != "" {
		t.Errorf("no flags: %q", got)
	}
	long := flag.NewFlagSet("t", flag.ContinueOnError)
	long.String("a-very-long-name", "", "take `SOMETHING`")
	long.Bool("b", false, "be short")
	long.Bool("c", false, "take more words than there is room for in one line, so that they go on in the next line")
	want = "Flags:\n  --a-very-long-name SOMETHING take SOMETHING\n  -b                           be short\n" +
		"  -c                           take more words than there is room for in one line, so that they go\n" +
		"                               on in the next line\n"
	if got := FlagsHelp(FlagsOf(long)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWrongFlag(t *testing.T) {
	for arg, want := range map[string]string{
		"--adress":     "flag provided but not defined: -adress; did you mean --address?",
		"--qqqqqqqqqq": "flag provided but not defined: -qqqqqqqqqq",
		"--rounds=x":   `invalid value "x" for flag -rounds: want a number`,
		"--limit=5":    `invalid value "5" for flag -limit: want a time such as 30s or 5m`,
		"--once=5":     `invalid boolean value "5" for -once: parse error`,
		"--login-for=": `invalid value "" for flag -login-for: parse error`,
		"--user":       "flag needs an argument: -user",
	} {
		fs := exampleFlags()
		_, err := ParseAnywhere(fs, []string{arg})
		if err == nil {
			t.Errorf("%s is taken", arg)
		} else if got := WrongFlag(fs, err); got != want {
			t.Errorf("%s: %q, want %q", arg, got, want)
		}
	}
	if _, err := ParseAnywhere(exampleFlags(), []string{"word", "-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}
