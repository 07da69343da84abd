// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// A person at a terminal sees one line, cut to its width, that moves and is gone
// at the end.
func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMemory()
		c.delay, c.hindrance = 1500*time.Millisecond, "0 of 4 paths, since nobody answers at any portal"
		c.volumes[volume] = &mallee.Volume{ID: volume, State: mallee.VolumeAvailable}
		var out, errs bytes.Buffer
		tool := &tool{
			stdout: &out, stderr: &errs, getenv: environment,
			screen:   func(io.Writer) (int, int) { return 50, 24 },
			dial:     func(client.Config) (cloud, error) { return inMemory(c), nil },
			patience: patience{interval: 500 * time.Millisecond, silence: time.Second, limit: time.Minute},
		}
		if code := tool.run(t.Context(), []string{"mallee", "volume", "attach", volume, string(node)}); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		want := "\rvol-00000001: attaching: 0 of 4 paths, since nobo\x1b[K" +
			"\r\x1b[K" +
			"next: mallee path list --volume vol-00000001\n"
		if d := cmp.Diff(want, errs.String()); d != "" {
			t.Errorf("stderr (-want +got):\n%s", d)
		}
	})
}

// slowCheck is a cloud whose machines take their time to answer.
type slowCheck struct{ *memory }

func (s slowCheck) CheckPaths(ctx context.Context, name string, value *string, probe bool) (mallee.PathCheck, error) {
	select {
	case <-ctx.Done():
		return mallee.PathCheck{}, ctx.Err()
	case <-time.After(2500 * time.Millisecond):
	}
	return s.memory.CheckPaths(ctx, name, value, probe)
}

// A check that machines are slow to answer says what it waits for.
func TestProgressOfACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		tool := &tool{
			stdout: &out, stderr: &errs, getenv: environment, screen: noTerminal, patience: defaultPatience,
			dial: func(client.Config) (cloud, error) {
				m := newMemory()
				return cloud{volumes: m, growth: m, tags: m, fleet: m, properties: slowCheck{m}, backups: m}, nil
			},
		}
		if code := tool.run(t.Context(), []string{"mallee", "path", "check", "--set", "ncpaths=10.107.1.200"}); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		if d := cmp.Diff("asking the machines about PARTI00.storage.ncpaths\n", errs.String()); d != "" {
			t.Errorf("stderr (-want +got):\n%s", d)
		}
	})
}

// Growth is told of in its steps, first the SAN's, then the node's.
func TestProgressOfGrowth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMemory()
		c.delay = 2 * time.Second
		c.volumes[volume] = &mallee.Volume{ID: volume, SizeGiB: 10, State: mallee.VolumeAvailable}
		code, stdout, stderr := runAfter(t, c, time.Minute, "volume", "resize", volume, "--size", "20")
		if code != exitOK || stdout != "vol-00000001: 20 GiB was 10 GiB\n" {
			t.Errorf("exit code %d, stdout %q", code, stdout)
		}
		want := "vol-00000001: growing from 10 to 20 GiB\n" +
			"vol-00000001: growing from 10 to 20 GiB: its node does not see it yet\n" +
			"next: grow what is on it: resize2fs, xfs_growfs or lvm's pvresize, where it is attached\n"
		if d := cmp.Diff(want, stderr); d != "" {
			t.Errorf("stderr (-want +got):\n%s", d)
		}
	})
}
