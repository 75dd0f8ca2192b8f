package cli

import (
	"fmt"
	"strings"
)

// NoCommand returns the text that a program has no such command, with the one that may be meant.
func NoCommand(program, name string, names []string) string {
	text := fmt.Sprintf("there is no command %q", name)
	if near := Nearest(name, names); near != "" {
		return text + "; did you mean `" + program + " " + near + "`?"
	}
	return text + "; `" + program + " help` lists them"
}

// Nearest returns the word that is written nearly as the one given, "" where there is none.
func Nearest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if n := editDistance(strings.ToLower(word), k); n < distance {
			best, distance = k, n
		}
	}
	return best
}

// editDistance is Levenshtein's: how many letters have to be changed.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
