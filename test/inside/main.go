// SPDX-License-Identifier: Apache-2.0

// Inside is the hands of tests inside a machine of the lab: test/hands starts it
// there and calls its operations. Each role has a file of its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/test/hands"
)

// roles are what the program can be started as. A role lives until its context
// ends; then it takes back what it has set up.
var roles = map[string]func(ctx context.Context, serve func(hands.Operations) error) error{
	"node":   runNode,
	"reader": runReader,
	"san":    runSAN,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "inside: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || roles[args[0]] == nil {
		return fmt.Errorf("%q is no role", args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	return roles[args[0]](ctx, func(ops hands.Operations) error {
		return hands.Serve(ctx, os.Stdin, os.Stdout, ops)
	})
}
