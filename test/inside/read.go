// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/test/hands"
)

// block is the size of a read, and the alignment that O_DIRECT wants.
const block = 4096

// read measures single reads of several devices, beside each other.
func read(ctx context.Context, r hands.Read) (hands.Latency, error) {
	ctx, cancel := context.WithTimeout(ctx, r.For)
	defer cancel()
	var mu sync.Mutex
	var all []time.Duration
	var g errgroup.Group
	for _, device := range r.Devices {
		g.Go(func() error {
			took, err := readOne(ctx, device)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return hands.Latency{}, err
	}
	if len(all) == 0 {
		return hands.Latency{}, fmt.Errorf("no read of %q has ended in %v", r.Devices, r.For)
	}
	slices.Sort(all)
	return hands.Latency{
		Reads: len(all), P50: all[len(all)/2], P99: all[len(all)*99/100], Max: all[len(all)-1],
	}, nil
}

func readOne(ctx context.Context, device string) ([]time.Duration, error) {
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// A page of its own is aligned, whatever the runtime does with the heap.
	page, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Munmap(page) }()
	var took []time.Duration
	for at := int64(0); ctx.Err() == nil; at = (at + block) % (256 * block) {
		begin := time.Now()
		if _, err := f.ReadAt(page, at); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}
