// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/kerneltest"
)

// modelNode is one run of a node's agent: a connector and a keeper for each volume.
type modelNode struct {
	m       *model
	process *kerneltest.Process
	c       *Connector
	cancel  context.CancelFunc
}

func startNode(m *model) *modelNode {
	p := m.k.Process()
	log := slog.New(slog.NewTextHandler(historian{m.k}, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	c := New(Options{Log: log, Directory: m.dir})
	c.initiator, c.records, c.disks, c.devices = p, p, p, p
	c.maps, c.daemon, c.allowed = kerneltest.Mapper{Process: p}, kerneltest.Daemon{Process: p}, kerneltest.Allowed{Process: p}
	c.uevents = p.Uevents
	ctx, cancel := context.WithCancel(context.Background())
	n := &modelNode{m: m, process: p, c: c, cancel: cancel}
	m.k.Note("the node's agent starts")
	go func() {
		<-p.Dead()
		cancel()
	}()
	go func() { _ = c.Run(ctx) }()
	for _, v := range m.volumes {
		go n.keep(ctx, v)
	}
	return n
}

func (n *modelNode) kill() { n.process.Kill() }

func (n *modelNode) dead() bool {
	select {
	case <-n.process.Dead():
		return true
	default:
		return false
	}
}

// historian writes a log into the machine's history.
type historian struct{ k *kerneltest.Kernel }

func (h historian) Write(b []byte) (int, error) {
	h.k.Note("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// keep makes the wish for a volume come true, as a keeper of internal/nc does.
func (n *modelNode) keep(ctx context.Context, v *modelVolume) {
	for ctx.Err() == nil {
		changed := n.c.Changed(v.spec.WWID)
		switch volume, attached, exported := v.want(); {
		case attached:
			n.repair(ctx, v, volume)
		case exported:
			n.detach(ctx, v, volume)
		}
		select {
		case <-ctx.Done():
		case <-v.changed:
		case <-changed:
		case <-time.After(time.Second):
		}
	}
}

// repairLimit and detachLimit are how long a call may take. A step waits for
// multipathd at most, and a detach for as long as its caller says.
const (
	repairLimit   = 12 * time.Second
	detachTimeout = time.Minute
	detachLimit   = detachTimeout + repairLimit
)

func (n *modelNode) repair(ctx context.Context, v *modelVolume, volume Volume) {
	start := time.Now()
	n.process.Keep(v.spec.WWID, uint64(volume.LUN))
	status, err := n.c.Repair(ctx, volume)
	v.note(err)
	n.within(repairLimit, "repair", v, start)
	if status.Ready && err == nil {
		var up []string
		for _, p := range status.Paths {
			if p.State == PathUp {
				up = append(up, p.Disk)
			}
		}
		n.process.HandOut(v.spec.WWID, up)
	}
}

func (n *modelNode) detach(ctx context.Context, v *modelVolume, volume Volume) {
	n.process.Leave(v.spec.WWID)
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, detachTimeout)
	defer cancel()
	err := n.c.Detach(limited, volume)
	v.note(err)
	n.within(detachLimit, "detach", v, start)
	if _, lost := errors.AsType[*LostWritesError](err); (err == nil || lost) && !n.dead() {
		n.m.k.Note("%s is detached: %v", v.spec.Name, err)
		n.process.Released(v.spec.WWID, uint64(volume.LUN))
		if err := n.m.san.takeBack(v, volume.LUN); err != nil {
			n.process.Blame(err.Error())
		}
	}
	if _, inUse := errors.AsType[*InUseError](err); inUse {
		n.repair(ctx, v, volume)
		n.process.Leave(v.spec.WWID)
	}
}

func (n *modelNode) within(limit time.Duration, what string, v *modelVolume, start time.Time) {
	if took := time.Since(start); took > limit {
		n.process.Blame(fmt.Sprintf("%s of %s took %v", what, v.spec.Name, took))
	}
}
