// Package cluster holds three nodes to what is promised of them together, while they
// are killed, stopped, restarted, cut off and slowed down: real processes behind a real
// nginx on a real PostgreSQL, and random people who sign in, switch, rotate and end on
// any of them, whose sessions last or soon run out, and who listen to their streams. Each
// call, and what a stream tells, is written down with its begin, end and outcome; porcupine
// looks for an order of each session's calls that explains all answers, and the sums at
// the end have to be zero.
//
//	go test ./test/cluster                       half a minute; five minutes with CI=true
//	go test ./test/cluster -cluster.time=20m     or CLUSTER_TIME=20m
//	go test ./test/cluster -cluster.seed=7       the people's and the faults' choices of a run, once more
//
// A seed repeats what is tried, in which order; when it happens is up to the machine.
package cluster
