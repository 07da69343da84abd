// SPDX-License-Identifier: Apache-2.0

// Bench measures in the lab how long attaching and detaching take, side by side in
// one run on the same machines: ours, os-brick's, and the floor, which is what must be
// done and nothing else. It writes build/bench.json and the table of
// docs/explanation/performance.md.
//
// A row is one thing that is measured, a sample one measurement of it by one of the
// three. A contest is a part of the run that takes the samples of some rows in turns,
// so that whatever else the machine does meets all of them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/lab"
)

const (
	resultFile = "build/bench.json"
	pageFile   = "docs/explanation/performance.md"
)

// limit ends a bench that hangs. One of all rows takes some twenty minutes.
const limit = 90 * time.Minute

// packages are what the machines have beyond the usual.
var packages = []string{"python3-os-brick"}

func main() {
	o := options{log: os.Stdout}
	flag.StringVar(&o.only, "only", "", "measure only these rows, divided by commas, and what is measured with them")
	flag.IntVar(&o.n, "n", 20, "samples of ours, and of the floor")
	flag.IntVar(&o.peer, "peer", 3, "samples of os-brick; 0 is none")
	flag.BoolVar(&o.verbose, "v", false, "tell what the connector did in each attach")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	if err := lab.Enter(packages...); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	for _, c := range chosen {
		o.say(begin, "%s", c.name)
		s.samples = samples{}
		if err := c.run(ctx, s); err != nil {
			if ctx.Err() == nil {
				s.tails()
			}
			return fmt.Errorf("%s: %w", c.name, err)
		}
		// At once: what fails later can be measured again alone.
		if err := s.publish(); err != nil {
			return err
		}
	}
	o.say(begin, "done: %s, %s", resultFile, pageFile)
	return nil
}

// publish tells the results of a contest, and puts them into the files.
func (s *stage) publish() error {
	r := report{Machine: s.machine, Results: s.samples.results()}
	for _, x := range r.Results {
		fmt.Fprintf(s.log, "        %s\n", x)
	}
	if err := merge(resultFile, r); err != nil {
		return err
	}
	return writePage(pageFile, resultFile)
}
