// Package completion writes what has a shell complete the commands and flags of
// a program.
package completion

import (
	"fmt"
	"strings"
)

// Command is a subcommand of a program.
type Command struct {
	Name, Summary string
	Flags         []Flag
	Words         []string // what its first argument may be; nil for what can't be listed
	Files         bool     // it takes the names of files
}

// Flag is a flag of a command.
type Flag struct {
	Name, Text string // the name with its dashes
	Value      bool   // it takes a value
	File       bool   // which is the name of a file
}

// Shells lists those that there are scripts for.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// Script returns the script for a shell; "" for a shell that is not among Shells.
func Script(shell, program string, commands []Command) string {
	switch shell {
	case "bash":
		return bash(program, commands)
	case "zsh":
		return zsh(program, commands)
	case "fish":
		return fish(program, commands)
	}
	return ""
}

// names joins the names of the flags that fit.
func names(flags []Flag, fits func(Flag) bool) string {
	var list []string
	for _, f := range flags {
		if fits(f) {
			list = append(list, f.Name)
		}
	}
	return strings.Join(list, " ")
}

func bash(program string, commands []Command) string {
	var all []string
	var cases strings.Builder
	for _, c := range commands {
		all = append(all, c.Name)
		files := ""
		if c.Files {
			files = "yes"
		}
		fmt.Fprintf(&cases, "\t%s) flags=%q values=%q file_flags=%q words=%q files=%q ;;\n", c.Name,
			names(c.Flags, func(Flag) bool { return true }), names(c.Flags, func(f Flag) bool { return f.Value }),
			names(c.Flags, func(f Flag) bool { return f.File }), strings.Join(c.Words, " "), files)
	}
	return strings.NewReplacer("PROGRAM", program, "COMMANDS", strings.Join(all, " "), "CASES\n",
		cases.String()).Replace(bashScript)
}

const bashScript = `# bash completion of PROGRAM
_PROGRAM() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local flags='' values='' file_flags='' words='' files=''
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'COMMANDS' -- "$cur")
		return
	fi
	case ${COMP_WORDS[1]} in
CASES
	esac
	if [[ " $file_flags " == *" $prev "* ]]; then
		files=yes words='' flags=''
	elif [[ " $values " == *" $prev "* ]]; then
		return
	elif [[ $cur == -* ]]; then
		files='' words=$flags
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	if [[ $files ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _PROGRAM PROGRAM
`

// zshQuote makes one word of a text within a specification of _arguments.
func zshQuote(text string) string {
	return strings.NewReplacer(`'`, `'\''`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(text)
}

func zsh(program string, commands []Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n\nlocal -a commands\ncommands=(\n", program)
	for _, c := range commands {
		fmt.Fprintf(&b, "\t'%s:%s'\n", c.Name, zshQuote(c.Summary))
	}
	b.WriteString(")\nif (( CURRENT == 2 )); then\n\t_describe command commands\n\treturn\nfi\nshift words\n" +
		"(( CURRENT-- ))\ncase $words[1] in\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "%s)\n\t_arguments", c.Name)
		for _, f := range c.Flags {
			value := ""
			if f.File {
				value = ":file:_files"
			} else if f.Value {
				value = ":value: "
			}
			fmt.Fprintf(&b, " \\\n\t\t'*%s[%s]%s'", f.Name, zshQuote(f.Text), value)
		}
		if c.Words != nil {
			fmt.Fprintf(&b, " \\\n\t\t'1:word:(%s)'", strings.Join(c.Words, " "))
		}
		if c.Files {
			b.WriteString(" \\\n\t\t'*:file:_files'")
		}
		b.WriteString("\n\t;;\n")
	}
	b.WriteString("esac\n")
	return b.String()
}

// fishQuote makes one word of a text.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func fish(program string, commands []Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion of %s\ncomplete -c %s -f\n", program, program)
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", program, c.Name, fishQuote(c.Summary))
		begin := fmt.Sprintf("complete -c %s -n '__fish_seen_subcommand_from %s'", program, c.Name)
		for _, f := range c.Flags {
			name, value := "-l "+strings.TrimPrefix(f.Name, "--"), ""
			if !strings.HasPrefix(f.Name, "--") {
				name = "-s " + strings.TrimPrefix(f.Name, "-")
			}
			if f.File {
				value = " -r -F"
			} else if f.Value {
				value = " -x"
			}
			fmt.Fprintf(&b, "%s %s%s -d %s\n", begin, name, value, fishQuote(f.Text))
		}
		if c.Words != nil {
			fmt.Fprintf(&b, "%s -a %s\n", begin, fishQuote(strings.Join(c.Words, " ")))
		}
		if c.Files {
			b.WriteString(begin + " -F\n")
		}
	}
	return b.String()
}
