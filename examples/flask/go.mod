module github.com/vedfolnir/session/examples/flask

go 1.26.0

require github.com/vedfolnir/session v0.0.0

replace github.com/vedfolnir/session => ../../
