module github.com/vedfolnir/session/cmd/vedfolnir

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/pressly/goose/v3 v3.29.0
	github.com/vedfolnir/session v0.0.0
	golang.org/x/crypto v0.58.0
	modernc.org/sqlite v1.62.0
)

// Until the first tag: the modules of this repository are used as they lie here.
replace github.com/vedfolnir/session => ../../
