module github.com/vedfolnir/session

go 1.25.0
