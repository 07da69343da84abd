// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/mallee-io/mallee/test/hands"
)

// deadPortal attaches with one of two portals silent, and in turns with both.
func deadPortal(ctx context.Context, s *stage) error {
	const paths = 2
	dead, _, err := net.SplitHostPort(portals[1])
	if err != nil {
		return err
	}
	v := volume(0, paths)
	for range s.n {
		for _, who := range []string{healthy, ours} {
			if who == ours {
				if err := s.lab.Cut(ctx, dead); err != nil {
					return err
				}
			}
			a, err := s.attachReady(ctx, v)
			if err != nil {
				return err
			}
			s.samples.addTime("attach_dead_portal", who, a.Ready)
			if err := s.lab.Heal(ctx, dead); err != nil {
				return err
			}
			// iscsid goes on with a login that nobody waits for any more: left at that, it
			// would be in the way of the next turn's.
			if _, err := s.attach(ctx, v); err != nil {
				return err
			}
			if _, err := s.detach(ctx, v); err != nil {
				return err
			}
		}
	}
	if s.peer == 0 {
		return nil
	}
	if err := s.lab.Cut(ctx, dead); err != nil {
		return err
	}
	took, err := s.brickAttach(ctx, newBrickVolume(0, paths))
	if err != nil {
		return err
	}
	s.samples.addTime("attach_dead_portal", osBrick, took)
	if err := s.lab.Heal(ctx, dead); err != nil {
		return err
	}
	_, err = s.brickDetach(ctx, newBrickVolume(0, paths))
	return err
}

// storm attaches 32 volumes over 4 paths each at once, and detaches them at once.
func storm(ctx context.Context, s *stage) error {
	const count, paths = 32, 4
	var all []hands.Volume
	var bricks []brickVolume
	for lun := range count {
		all = append(all, volume(lun, paths))
		bricks = append(bricks, newBrickVolume(lun, paths))
	}
	for range s.n {
		a, err := s.attach(ctx, all...)
		if err != nil {
			return err
		}
		s.samples.addTime("storm_32x4", ours, a.Ready)
		s.samples.addTime("storm_32x4_complete", ours, a.Complete)
		d, err := s.detach(ctx, all...)
		if err != nil {
			return err
		}
		s.samples.addTime("storm_32x4_detach", ours, d.Took)
	}
	if s.peer == 0 {
		return nil
	}
	took, err := s.brickAttach(ctx, bricks...)
	if err != nil {
		return err
	}
	s.samples.addTime("storm_32x4", osBrick, took)
	s.samples.addTime("storm_32x4_complete", osBrick, took)
	if took, err = s.brickDetach(ctx, bricks...); err != nil {
		return err
	}
	s.samples.addTime("storm_32x4_detach", osBrick, took)
	return nil
}

// reading is for how long volumes are read for one sample.
const reading = time.Second

// hungLUN reads seven volumes while the backstore of an eighth hangs, which is read
// too, and in turns while it does not.
func hungLUN(ctx context.Context, s *stage) error {
	const paths = 4
	others := []hands.Volume{}
	var devices []string
	for lun := range 7 {
		others = append(others, volume(lun, paths))
	}
	stuck := volume(slow, paths)
	a, err := s.attach(ctx, append(others, stuck)...)
	if err != nil {
		return err
	}
	for _, status := range a.Status[:len(others)] {
		devices = append(devices, status.Device)
	}
	read := func(who string) error {
		var l hands.Latency
		err := s.node.Call(ctx, hands.OpRead, hands.Read{Devices: devices, For: reading}, &l)
		s.samples.addTime("hung_lun", who, l.P99)
		return err
	}
	for range s.n {
		if err := read(healthy); err != nil {
			return err
		}
		if err := s.san.Suspend(ctx, "slow"); err != nil {
			return err
		}
		hung := make(chan error, 1)
		go func() {
			hung <- s.node.Call(ctx, hands.OpRead, hands.Read{Devices: []string{a.Status[len(others)].Device}, For: reading}, nil)
		}()
		if err := read(ours); err != nil {
			return err
		}
		if err := s.san.Resume(ctx, "slow"); err != nil {
			return err
		}
		if err := <-hung; err != nil {
			return fmt.Errorf("a volume that hung did not go on: %w", err)
		}
	}
	_, err = s.detach(ctx, append(others, stuck)...)
	return err
}
