// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/test/hands"
)

// usage tells what this process has used.
func usage(context.Context, hands.None) (hands.Usage, error) {
	statm, err := os.ReadFile("/proc/self/statm") // proc(5): size and resident, in pages
	if err != nil {
		return hands.Usage{}, err
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return hands.Usage{}, fmt.Errorf("cannot read /proc/self/statm: %w", err)
	}
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return hands.Usage{}, err
	}
	cpu := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	return hands.Usage{ResidentBytes: resident * uint64(os.Getpagesize()), CPU: cpu}, nil
}
