// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/mallee-io/mallee/test/hands"
)

// A turn is one attach or detach by one of the three. Each begins with a machine that
// has settled.
const (
	oursTakes  = 5 * time.Minute
	brickTakes = 15 * time.Minute
)

func (s *stage) attach(ctx context.Context, volumes ...hands.Volume) (a hands.Attached, err error) {
	ctx, cancel := context.WithTimeout(ctx, oursTakes)
	defer cancel()
	if err := s.settle(ctx); err != nil {
		return a, err
	}
	err = s.node.Call(ctx, hands.OpAttach, hands.Attach{Volumes: volumes, Complete: true}, &a)
	s.tell("attach", a.Events, a.Started)
	return a, err
}

// attachReady is attach that does not wait for the paths that are still missing.
func (s *stage) attachReady(ctx context.Context, volumes ...hands.Volume) (a hands.Attached, err error) {
	ctx, cancel := context.WithTimeout(ctx, oursTakes)
	defer cancel()
	if err := s.settle(ctx); err != nil {
		return a, err
	}
	err = s.node.Call(ctx, hands.OpAttach, hands.Attach{Volumes: volumes}, &a)
	s.tell("attach", a.Events, a.Started)
	return a, err
}

func (s *stage) detach(ctx context.Context, volumes ...hands.Volume) (d hands.Detached, err error) {
	ctx, cancel := context.WithTimeout(ctx, oursTakes)
	defer cancel()
	if err := s.settle(ctx); err != nil {
		return d, err
	}
	err = s.node.Call(ctx, hands.OpDetach, volumes, &d)
	s.tell("detach", d.Events, d.Started)
	return d, err
}

func (s *stage) tell(what string, events []hands.Event, started hands.Started) {
	if !s.verbose {
		return
	}
	fmt.Fprintf(s.log, "       %s: %d processes of ours, %d of all, %v of CPU time of ours\n",
		what, started.Ours, started.System, started.CPU.Round(time.Millisecond))
	for _, e := range events {
		fmt.Fprintf(s.log, "         %6.3f %s\n", e.After.Seconds(), e.Text)
	}
}

// brickTook is what os-brick's calls answer.
type brickTook struct{ Took time.Duration }

func (s *stage) brickAttach(ctx context.Context, volumes ...brickVolume) (time.Duration, error) {
	return s.brickCall(ctx, "attach", volumes)
}

func (s *stage) brickDetach(ctx context.Context, volumes ...brickVolume) (time.Duration, error) {
	return s.brickCall(ctx, "detach", volumes)
}

func (s *stage) brickCall(ctx context.Context, op string, volumes []brickVolume) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, brickTakes)
	defer cancel()
	if err := s.settle(ctx); err != nil {
		return 0, err
	}
	var r brickTook
	err := s.brick.Call(ctx, op, volumes, &r)
	return r.Took, err
}

// floorVolume is a volume as the floor takes it, on sessions of its own: another for
// each turn. Of one that it has seen before multipathd might make the map itself, and
// the floor does not expect anybody else.
func floorVolume(turn, paths int, cold bool) hands.Floor {
	const first = 64 // what is before is ours
	v := volume(first+turn%(volumes-first), paths)
	f := hands.Floor{Iface: fmt.Sprintf("floor%d", paths), Target: v.Target, LUN: v.LUN, WWID: v.WWID, Cold: cold}
	for _, p := range portals[:paths] {
		f.Portals = append(f.Portals, netip.MustParseAddrPort(p))
	}
	return f
}

// floorTurn attaches and detaches by the floor.
func (s *stage) floorTurn(ctx context.Context, f hands.Floor) (attach, detach hands.Floored, err error) {
	ctx, cancel := context.WithTimeout(ctx, oursTakes)
	defer cancel()
	if err := s.settle(ctx); err != nil {
		return attach, detach, err
	}
	if err := s.node.Call(ctx, hands.OpFloorAttach, f, &attach); err != nil {
		return attach, detach, err
	}
	if err := s.settle(ctx); err != nil {
		return attach, detach, err
	}
	return attach, detach, s.node.Call(ctx, hands.OpFloorDetach, f, &detach)
}

// peerTurn reports whether os-brick is to take a sample in turn i: its few are spread
// over the many of ours.
func (s *stage) peerTurn(i int) bool { return i*s.peer%s.n < s.peer }
