// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/mallee-io/mallee/test/hands"
)

// cold attaches and detaches one volume when there is no session.
func cold(paths int) func(context.Context, *stage) error {
	attach := fmt.Sprintf("attach_cold_%d", paths)
	return func(ctx context.Context, s *stage) error {
		if err := s.node.Call(ctx, hands.OpFloorPrepare, floorVolume(0, paths, true), nil); err != nil {
			return err
		}
		for i := range s.n {
			v := volume(0, paths)
			a, err := s.attach(ctx, v)
			if err != nil {
				return err
			}
			s.samples.addTime(attach, ours, a.Ready)
			s.samples.addTime(attach+"_complete", ours, a.Complete)
			d, err := s.detach(ctx, v)
			if err != nil {
				return err
			}
			fa, fd, err := s.floorTurn(ctx, floorVolume(i, paths, true))
			if err != nil {
				return err
			}
			s.samples.addTime(attach, floor, fa.Took)
			if paths == 2 {
				s.samples.addTime("detach_last", ours, d.Took)
				s.samples.addTime("detach_last", floor, fd.Took)
			}
			if !s.peerTurn(i) {
				continue
			}
			b := newBrickVolume(0, paths)
			attached, err := s.brickAttach(ctx, b)
			if err != nil {
				return err
			}
			s.samples.addTime(attach, osBrick, attached)
			s.samples.addTime(attach+"_complete", osBrick, attached)
			detached, err := s.brickDetach(ctx, b)
			if err != nil {
				return err
			}
			if paths == 2 {
				s.samples.addTime("detach_last", osBrick, detached)
			}
		}
		return nil
	}
}

// warm attaches and detaches one volume over sessions that another one uses.
func warm(ctx context.Context, s *stage) error {
	const paths = 2
	// What keeps the sessions up.
	if _, err := s.attach(ctx, volume(0, paths)); err != nil {
		return err
	}
	keeper := floorVolume(s.n, paths, true)
	if err := s.node.Call(ctx, hands.OpFloorPrepare, keeper, nil); err != nil {
		return err
	}
	if err := s.node.Call(ctx, hands.OpFloorAttach, keeper, nil); err != nil {
		return err
	}
	if s.peer > 0 {
		if _, err := s.brickAttach(ctx, newBrickVolume(0, paths)); err != nil {
			return err
		}
	}
	for i := range s.n {
		if err := warmTurn(ctx, s, i, paths); err != nil {
			return err
		}
	}
	if s.peer > 0 {
		if _, err := s.brickDetach(ctx, newBrickVolume(0, paths)); err != nil {
			return err
		}
	}
	if err := s.node.Call(ctx, hands.OpFloorDetach, keeper, nil); err != nil {
		return err
	}
	_, err := s.detach(ctx, volume(0, paths))
	return err
}

func warmTurn(ctx context.Context, s *stage, i, paths int) error {
	v := volume(2+i%8, paths)
	a, err := s.attach(ctx, v)
	if err != nil {
		return err
	}
	s.samples.addTime("attach_warm", ours, a.Ready)
	s.samples.addTime("attach_warm_complete", ours, a.Complete)
	s.samples.add("warm_attach_processes", ours, float64(a.Ours))
	s.samples.add("warm_attach_processes_system", ours, float64(a.System))
	d, err := s.detach(ctx, v)
	if err != nil {
		return err
	}
	s.samples.addTime("detach", ours, d.Took)
	s.samples.add("warm_detach_processes", ours, float64(d.Ours))
	s.samples.add("warm_detach_processes_system", ours, float64(d.System))

	fa, fd, err := s.floorTurn(ctx, floorVolume(i, paths, false))
	if err != nil {
		return err
	}
	s.samples.addTime("attach_warm", floor, fa.Took)
	s.samples.addTime("detach", floor, fd.Took)
	if !s.peerTurn(i) {
		return nil
	}
	b := newBrickVolume(1+i%8, paths)
	attached, err := s.brickAttach(ctx, b)
	if err != nil {
		return err
	}
	s.samples.addTime("attach_warm", osBrick, attached)
	s.samples.addTime("attach_warm_complete", osBrick, attached)
	detached, err := s.brickDetach(ctx, b)
	if err != nil {
		return err
	}
	s.samples.addTime("detach", osBrick, detached)
	return nil
}
