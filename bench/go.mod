module github.com/vedfolnir/session/bench

go 1.26.0
