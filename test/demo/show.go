// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee/test/scenario"
)

// show runs one of our tools and prints the command and its output.
func (s *story) show(ctx context.Context, name string, args ...string) error {
	out, err := s.cloud.Tool(ctx, name, args...)
	if err != nil {
		return err
	}
	fmt.Printf("$ %s %s\n%s", name, strings.Join(args, " "), out)
	return nil
}

// aws runs the aws CLI, prints the command and its output, and returns the
// output without JSON's quotes.
func (s *story) aws(ctx context.Context, args ...string) (string, error) {
	fmt.Printf("$ aws ec2 %s\n", strings.Join(args, " "))
	out, err := s.cloud.AWS(ctx, args...)
	if err != nil {
		return "", err
	}
	if out = strings.Trim(strings.TrimSpace(out), `"`); out != "" {
		fmt.Println(out)
	}
	return out, nil
}

// await waits until the aws CLI shows a value in a volume: "State",
// "Attachments[0].State". It asks more often than "aws ec2 wait", which does so
// every 15 s.
func (s *story) await(ctx context.Context, volume, query, want string) error {
	return scenario.Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
		out, err := s.cloud.AWS(ctx, "describe-volumes", "--volume-ids", volume, "--query", "Volumes[0]."+query)
		return strings.TrimSpace(out) == strconv.Quote(want), errors.Join(err, fmt.Errorf("%s of %s is %s", query, volume, out))
	})
}

// awaitPaths waits until up of the four paths are up.
func (s *story) awaitPaths(ctx context.Context, volume string, up int) error {
	ctx, cancel := context.WithTimeout(ctx, pathsTimeout)
	defer cancel()
	return s.cloud.AwaitPaths(ctx, volume, len(scenario.DataAddrs), up)
}

// table prints the path table and notes it as a stage, at which up of the four
// paths must be up.
func (s *story) table(ctx context.Context, name, volume string, up int) error {
	paths, err := s.cloud.Paths(ctx, volume)
	if err != nil {
		return err
	}
	now := stage{Name: name, Expected: len(scenario.DataAddrs), Up: scenario.Up(paths)}
	s.result.Stages = append(s.result.Stages, now)
	fmt.Println()
	if err := s.show(ctx, "mallee", "path", "list"); err != nil {
		return err
	}
	if len(paths) != now.Expected || now.Up != up {
		return fmt.Errorf("%d of %d paths are up, and %d should be", now.Up, len(paths), up)
	}
	return nil
}
