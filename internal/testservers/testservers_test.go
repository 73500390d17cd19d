package testservers

import (
	"net/url"
	"testing"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	var first *url.URL
	t.Run("which the other does not see", func(t *testing.T) {
		var err error
		if first, err = url.Parse(PostgreSQL(t)); err != nil {
			t.Fatal(err)
		}
		second, err := url.Parse(PostgreSQL(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := psql(first, "CREATE TABLE notes (text text)"); err != nil {
			t.Error(err)
		}
		if psql(second, "SELECT * FROM notes") == nil {
			t.Error("both are one")
		}
	})
	if first != nil && psql(first, "SELECT 1") == nil {
		t.Error("the database has outlived its test")
	}
}

func TestAPrivatePostgreSQLComesAndGoes(t *testing.T) {
	server, p, err := startPostgreSQL()
	if err != nil {
		missing(t, "postgresql", err)
	}
	if err := psql(server, "CREATE DATABASE notes"); err != nil {
		t.Error(err)
	}
	if err := p.stop(); err != nil {
		t.Errorf("%v\n%s", err, p.said())
	}
	if psql(server, "SELECT 1") == nil {
		t.Error("it still runs")
	}
}
