module github.com/vedfolnir/session/examples/minimal

go 1.25.0

require github.com/vedfolnir/session v0.0.0

replace github.com/vedfolnir/session => ../../
