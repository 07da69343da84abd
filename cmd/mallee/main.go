// SPDX-License-Identifier: Apache-2.0

// Command mallee is the tool for people: volumes, their paths, the nodes and the
// properties of a cloud, over the CLC's APIs.
//
// Called as euca-describe-properties or euca-modify-property it is that tool,
// with the output that scripts written for the original expect.
//
// Results go to stdout, as aligned text, JSON or YAML; progress, hints and errors go
// to stderr. The exit codes are documented at exitCode.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mallee-io/mallee/client"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t := &tool{
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
		screen: screenOf,
		getenv: os.Getenv,
		dial: func(config client.Config) (cloud, error) {
			c, err := client.New(config)
			return cloud{volumes: c, growth: c, tags: c, fleet: c, properties: c, backups: c}, err
		},
		patience: defaultPatience,
	}
	code := t.run(ctx, os.Args)
	stop()
	os.Exit(code)
}
