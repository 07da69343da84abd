// SPDX-License-Identifier: Apache-2.0

// Command demo shows the main job on real kernels: an admin names four paths, a
// tenant attaches a volume, half of the paths die without a word while a guest
// writes, they come back, the volume goes, and nothing is left anywhere. It
// writes build/demo.json and exits with 0 only if all of that held.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/test/scenario"
)

// resultFile is what the demo leaves for programs to read.
const resultFile = "build/demo.json"

// limit ends a demo that hangs.
const limit = 12 * time.Minute

func main() {
	// What an earlier run has found must not be taken for what this one finds.
	if err := os.Remove(resultFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	if err := lab.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	start := time.Now()
	s := &story{start: start, result: result{Stages: []stage{}, Leftovers: map[string]int{}}}
	err := s.tell(ctx)
	s.result.Seconds = time.Since(start).Round(100 * time.Millisecond).Seconds()
	s.result.OK = err == nil
	if writeErr := s.result.write(resultFile); writeErr != nil {
		err = errors.Join(err, writeErr)
	}
	s.summary(err)
	if err != nil {
		os.Exit(1)
	}
}

// result is what build/demo.json holds.
type result struct {
	OK             bool           `json:"ok"`
	Seconds        float64        `json:"seconds"`
	Stages         []stage        `json:"stages"`
	IOErrors       int            `json:"io_errors"`
	LongestStallMS int64          `json:"longest_stall_ms"`
	BytesVerified  int64          `json:"bytes_verified"`
	Leftovers      map[string]int `json:"leftovers"`
}

// stage is how many paths were up at one point of the story.
type stage struct {
	Name     string `json:"name"`
	Expected int    `json:"expected"`
	Up       int    `json:"up"`
}

func (r result) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// story is the demo while it is told.
type story struct {
	start  time.Time
	cloud  *scenario.Cloud
	result result
}

// say announces a step.
func (s *story) say(format string, args ...any) {
	fmt.Printf("\n[%3.0fs] %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}

func (s *story) summary(err error) {
	if err != nil {
		if s.cloud != nil {
			s.cloud.Tails(os.Stdout)
		}
		fmt.Printf("\nFAILED after %.0f s: %v\n", s.result.Seconds, err)
		return
	}
	fmt.Printf("\nOK in %.0f s: %d MiB verified, %d I/O errors, longest stall %.1f s, nothing left (%s)\n",
		s.result.Seconds, s.result.BytesVerified>>20, s.result.IOErrors, float64(s.result.LongestStallMS)/1000, resultFile)
}
