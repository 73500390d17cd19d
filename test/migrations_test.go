package test

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	sqlComment = regexp.MustCompile(`--[^\n]*`)
	addition   = regexp.MustCompile(`(?i)ADD COLUMN (\w+)`)
	// What an older program does not notice: something new beside what it knows, a column
	// that it may leave out, an index that only made it faster.
	additive = regexp.MustCompile(`(?is)^(CREATE (UNIQUE )?(TABLE|INDEX|TRIGGER|FUNCTION)|INSERT INTO|ALTER TABLE \w+\s+ADD COLUMN)\b`)
	forbids  = regexp.MustCompile(`(?is)\b(DROP|RENAME|ALTER COLUMN|ADD CONSTRAINT|SET NOT NULL)\b`)
	sets     = regexp.MustCompile(`(?is)^UPDATE \w+\s+SET (\w+) =[^,]*$`)
)

// Nodes of two versions serve one database while they are replaced one by one. So each
// migration after a database's first one only adds, and adds no column that an older
// program would have to fill in; what there was stays what it was.
func TestMigrationsOnlyAdd(t *testing.T) {
	seen := 0
	for _, file := range files(t) {
		if !strings.Contains(file, "/migrations/") || path.Ext(file) != ".sql" || strings.HasPrefix(path.Base(file), "00001_") {
			continue
		}
		seen++
		text := sqlComment.ReplaceAllString(read(t, file), "")
		made := map[string]bool{}
		for _, found := range regexp.MustCompile(`(?i)CREATE TABLE (\w+)`).FindAllStringSubmatch(text, -1) {
			made[found[1]] = true
		}
		added := map[string]bool{}
		for _, found := range addition.FindAllStringSubmatch(text, -1) {
			added[found[1]] = true
		}
		for statement := range strings.SplitSeq(text, ";") {
			statement = strings.TrimSpace(statement)
			filled := sets.FindStringSubmatch(statement)
			switch {
			case statement == "", strings.HasPrefix(statement, "DROP INDEX"):
			case filled != nil && added[filled[1]]: // its own column, for rows that are there
			case !additive.MatchString(statement) || forbids.MatchString(statement):
				t.Errorf("%s does more than add, and nodes of the version before could not go on beside it:\n%s", file, statement)
			case strings.HasPrefix(statement, "ALTER"):
				for column := range strings.SplitSeq(statement, "ADD COLUMN") {
					if strings.Contains(column, "NOT NULL") && !strings.Contains(column, "DEFAULT") {
						t.Errorf("%s adds a column that nodes of the version before cannot leave out: %s", file, column)
					}
				}
			}
		}
		for _, found := range regexp.MustCompile(`(?i)CREATE UNIQUE INDEX \w+ ON (\w+) \(([^)]*)\)`).FindAllStringSubmatch(text, -1) {
			if !made[found[1]] && !added[found[2]] {
				t.Errorf("%s makes unique what was not: %s", file, found[0])
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d migrations were found", seen)
	}
}
