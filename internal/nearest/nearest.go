// Package nearest guesses which name a misspelt one was meant to be.
package nearest

import "strings"

// Of returns the candidate that name was probably meant to be: one that begins
// with it, or one a few letters away. Empty: none is near.
func Of(name string, candidates []string) string {
	best, distance := "", min(4, (len(name)+1)/2)
	for _, c := range candidates {
		if strings.HasPrefix(c, name) && len(name) > len(c)/2 {
			return c
		}
		if d := editDistance(name, c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
