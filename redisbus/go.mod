module github.com/vedfolnir/session/redisbus

go 1.26.0

require (
	github.com/redis/rueidis v1.0.79
	github.com/vedfolnir/session v0.0.0
	go.uber.org/goleak v1.3.0
)

require golang.org/x/sys v0.47.0 // indirect

// Until the first tag: the modules of this repository are used as they lie here.
replace github.com/vedfolnir/session => ../
