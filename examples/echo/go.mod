module github.com/vedfolnir/session/examples/echo

go 1.26.0

require (
	github.com/labstack/echo/v5 v5.4.4
	github.com/vedfolnir/session v0.0.0
)

replace github.com/vedfolnir/session => ../../
