// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/test/hands"
)

// runReader reads devices for the host.
func runReader(_ context.Context, serve func(hands.Operations) error) error {
	return serve(hands.Operations{
		hands.OpText: hands.Op(func(_ context.Context, device string) (string, error) {
			r, err := openReader(device)
			if err != nil {
				return "", err
			}
			defer r.close()
			return r.read(0)
		}),
		hands.OpFollow: hands.Op(follow),
	})
}

// reader reads blocks of a device, and the text in them.
type reader struct {
	*os.File
	size   int64
	buffer []byte
}

// openReader opens a device past the page cache, which may hold what it was once.
func openReader(device string) (*reader, error) {
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	buffer, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &reader{f, size, buffer}, nil
}

func (r *reader) close() {
	_ = unix.Munmap(r.buffer)
	_ = r.Close()
}

// read returns the text at the beginning of block n.
func (r *reader) read(n int64) (string, error) {
	if _, err := r.ReadAt(r.buffer, n*block); err != nil {
		return "", err
	}
	text, _, _ := bytes.Cut(r.buffer, []byte{0})
	return string(text), nil
}

// follow reads blocks at random for a time.
func follow(ctx context.Context, f hands.Follow) (hands.Followed, error) {
	r, err := openReader(f.Device)
	if err != nil {
		return hands.Followed{}, err
	}
	defer r.close()
	var result hands.Followed
	var times []time.Duration
	for end := time.Now().Add(f.For); time.Now().Before(end) && ctx.Err() == nil; {
		s := hands.Span{From: time.Now(), Reads: 1}
		text, err := r.read(rand.Int64N(r.size / block))
		s.Text, s.Until = text, time.Now()
		if err != nil {
			s.Err = err.Error()
		}
		add(&result, s)
		times = append(times, s.Until.Sub(s.From))
		time.Sleep(f.Pause)
	}
	slices.Sort(times)
	result.Reads = len(times)
	if len(times) > 0 {
		result.P50, result.P99, result.Max = times[len(times)/2], times[len(times)*99/100], times[len(times)-1]
	}
	return result, nil
}

// add joins a read to the row of those before it that have found the same.
func add(f *hands.Followed, s hands.Span) {
	if n := len(f.Spans); n > 0 && f.Spans[n-1].Text == s.Text && f.Spans[n-1].Err == s.Err {
		f.Spans[n-1].Until = s.Until
		f.Spans[n-1].Reads++
		return
	}
	f.Spans = append(f.Spans, s)
}
