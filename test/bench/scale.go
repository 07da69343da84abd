// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/internal/rpc"
)

const (
	// So many volumes come at a time, as guests do that start one after the other. What
	// a storm costs is another row.
	step = 16
	// stepTakes is the most that it may take until those are up.
	stepTakes = 3 * time.Minute
	// The node is at rest for so long before it is looked at, and then for 20 windows
	// of three seconds.
	rest   = 20 * time.Second
	window = 3 * time.Second
	looks  = 20
)

// scale has malleed itself, as a node controller, keep all volumes over four paths
// each. It is the last contest: it leaves them attached.
func scale(ctx context.Context, s *stage) error {
	s.node.Close()
	s.node = nil
	dir, err := os.MkdirTemp("", "mallee-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, bundle, err := startCloud(filepath.Join(dir, "ca"), s.nc1.Spec.Name)
	if err != nil {
		return err
	}
	defer c.close()
	nc, err := s.startNC(ctx, dir, bundle)
	if err != nil {
		return err
	}
	for n := step; n <= volumes; n += step {
		c.wishFor(wish(n))
		if err := s.await(ctx, c, nc, n); err != nil {
			return err
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rest):
	}
	before, err := s.used(ctx, nc)
	if err != nil {
		return err
	}
	for range looks {
		begin := time.Now()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(window):
		}
		now, err := s.used(ctx, nc)
		if err != nil {
			return err
		}
		s.samples.add("nc_256x4_rss", ours, float64(now.residentBytes)/1e6)
		s.samples.add("nc_256x4_idle_cpu", ours, 100*(now.cpu-before.cpu).Seconds()/time.Since(begin).Seconds())
		before = now
	}
	return nil
}

// wish is that for the first n volumes.
func wish(n int) *cloudv1.NodeState {
	state := &cloudv1.NodeState{InstanceId: "i-00000001", Ncpaths: "nopath", NopathTimeoutSeconds: 120, MinPaths: 1, Portals: portals}
	for lun := range n {
		v := volume(lun, len(portals))
		state.Attachments = append(state.Attachments, &cloudv1.DesiredAttachment{
			VolumeId: v.Name, Generation: 1, Wanted: true, SizeBytes: volumeSize,
			Export: &cloudv1.Export{Target: v.Target, Lun: uint32(v.LUN), Wwid: v.WWID, Portals: portals},
		})
	}
	return state
}

func (s *stage) startNC(ctx context.Context, dir string, bundle *rpc.Bundle) (*lab.Process, error) {
	if err := bundle.Write(dir); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, rpc.BundleFile))
	if err != nil {
		return nil, err
	}
	const certs = "/etc/mallee/nc"
	if err := s.nc1.WriteFile(ctx, filepath.Join(certs, rpc.BundleFile), text, 0o600); err != nil {
		return nil, err
	}
	config := fmt.Appendf(nil, "[nc]\npartition = %q\nclc = [%q]\ncerts = %q\n", partition, cloudAddr, certs)
	if err := s.nc1.WriteFile(ctx, "/etc/mallee/malleed.toml", config, 0o644); err != nil {
		return nil, err
	}
	return s.nc1.Spawn(ctx, "nc", "malleed", "nc")
}

// await waits until all paths of n volumes are up.
func (s *stage) await(ctx context.Context, c *cloud, nc *lab.Process, n int) error {
	ctx, cancel := context.WithTimeout(ctx, stepTakes)
	defer cancel()
	for {
		volumesUp, pathsUp := c.up()
		if volumesUp == n && pathsUp == n*len(portals) {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := nc.Log(ctx)
			return fmt.Errorf("%d of %d volumes and %d paths up: %w; malleed said last: %s",
				volumesUp, n, pathsUp, ctx.Err(), log[max(0, len(log)-2000):])
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// usage is what a process has used of its machine.
type usage struct {
	residentBytes uint64
	cpu           time.Duration // since its start
}

// used tells what a process has used: proc(5), /proc/PID/stat and statm.
func (s *stage) used(ctx context.Context, p *lab.Process) (usage, error) {
	dir := fmt.Sprintf("/proc/%d/", p.PID)
	stat, err := s.nc1.ReadFile(ctx, dir+"stat")
	if err != nil {
		return usage{}, err
	}
	statm, err := s.nc1.ReadFile(ctx, dir+"statm")
	if err != nil {
		return usage{}, err
	}
	// After the name, which may hold anything, in parentheses: utime and stime are
	// fields 14 and 15, in hundredths of a second.
	_, rest, _ := strings.Cut(string(stat), ") ")
	field, pages := strings.Fields(rest), strings.Fields(string(statm))
	if len(field) < 13 || len(pages) < 2 {
		return usage{}, fmt.Errorf("cannot read %sstat: %q", dir, stat)
	}
	var numbers [3]uint64
	for i, text := range []string{field[11], field[12], pages[1]} {
		if numbers[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return usage{}, fmt.Errorf("cannot read %sstat: %w", dir, err)
		}
	}
	return usage{
		cpu:           time.Duration(numbers[0]+numbers[1]) * 10 * time.Millisecond,
		residentBytes: numbers[2] * 4096,
	}, nil
}
