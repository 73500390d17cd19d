// Command bench measures a session server over real connections, beside a bare
// handler and beside scs, all in one run on one machine:
//
//	go run .                 reads and durable switches
//	go run . -only nodes -database postgres://postgres@localhost/bench
//	                         several nodes on an empty PostgreSQL database, beside one
//	go run . -soak 10m       mixed load that has to stay right, and flat in memory
//
// Every server runs in a process of its own, so that its processor time is its
// own, and only one of them is asked at a time, in turns: a machine that gets
// slower meanwhile slows all of them. The client does as little as it can, but on
// two cores it still takes part of them: compare the ratios.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// settings of a run.
type settings struct {
	Live        int // sessions in the store
	SignedIn    int // of which this many are used
	Connections int
	Rounds      int
	Round       time.Duration
	Dir         string // for databases; empty: the system's for temporary files
	Database    string // an empty PostgreSQL database; empty: nothing is measured on one
	Out         io.Writer
}

func main() {
	s := settings{Out: os.Stdout}
	flag.IntVar(&s.Live, "live", 100_000, "live sessions in the store")
	flag.IntVar(&s.SignedIn, "signed-in", 10_000, "`sessions` among them that send requests")
	flag.IntVar(&s.Connections, "connections", 32, "kept-alive connections")
	flag.IntVar(&s.Rounds, "rounds", 5, "rounds; each figure is the median of them")
	flag.DurationVar(&s.Round, "round", 3*time.Second, "`length` of a round")
	flag.StringVar(&s.Dir, "dir", "", "`folder` for databases (default the system's for temporary files)")
	flag.StringVar(&s.Database, "database", "", "`URL` of an empty PostgreSQL database, for nodes")
	only := flag.String("only", "", "reads, switches or nodes: only these")
	soak := flag.Duration("soak", 0, "run a mixed load for this `long` instead")
	serve := flag.String("serve", "", "for the program itself: be this server")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, s, *only, *soak, *serve)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, only string, soak time.Duration, serve string) error {
	switch {
	case serve != "":
		return serveChild(serve, s)
	case soak > 0:
		return soakRun(ctx, s, soak)
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, settings) error
		can  bool
	}{{"reads", readRun, true}, {"switches", switchRun, true}, {"nodes", nodeRun, s.Database != ""}} {
		if only != "" && only != part.name || only == "" && !part.can {
			continue
		}
		if !part.can {
			return fmt.Errorf("%s: name an empty database with -database", part.name)
		}
		if err := part.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
