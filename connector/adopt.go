// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
)

// adoption is what is known of multipathd's part in a volume's map.
type adoption struct {
	device  string    // the map that the rest is of
	done    bool      // multipathd knows the map
	askNext time.Time // when that is looked at
	hold    io.Closer // keeps a map that we made until it is done; nil for none
}

// release lets go of a map that was held.
func (a *adoption) release() {
	if a.hold != nil {
		a.hold.Close() // of a device that was opened to read: nothing can be lost
		a.hold = nil
	}
}

// holdMap keeps a map that we have just made from being removed before multipathd
// knows it: 0.9.4, when its own create comes a moment later and fails because the
// map is there, removes what it finds unless somebody has it open
// (libmultipath/devmapper.c, dm_addmap_create).
func (c *Connector) holdMap(state *volume, device string) error {
	hold, err := c.devices.Hold(device)
	if err != nil {
		return err
	}
	state.adoption.release()
	state.adoption = adoption{device: device, askNext: time.Now().Add(adoptionPatience), hold: hold}
	return nil
}

// adopt sees to it that multipathd knows v's map: to the kernel it is as good
// without, but nobody would bring a failed path back, or end queueing in time.
// multipathd learns of a map by udev's event, which it can miss while it starts.
func (c *Connector) adopt(ctx context.Context, state *volume, v Volume, m dm.Map) {
	a := &state.adoption
	if a.device != m.Name {
		a.release()
		*a = adoption{device: m.Name, askNext: time.Now().Add(adoptionPatience)}
	}
	if m.Name == "" || a.done || time.Now().Before(a.askNext) {
		return
	}
	a.askNext = time.Now().Add(adoptionPatience)
	known, err := c.reported.get(ctx, c.daemon)
	if err != nil {
		return // Repair tells when multipathd does not answer
	}
	if slices.ContainsFunc(known, func(k multipath.Map) bool { return k.WWID == v.WWID }) {
		a.done = true
		a.release()
		return
	}
	err = c.daemon.AddMap(ctx, m.Name)
	c.log.InfoContext(ctx, "multipathd does not know the map and was told of it", "wwid", v.WWID, "map", m.Name, "error", err)
}

// knownFor is how long multipathd's list of maps is shared: with hundreds of
// volumes it is a megabyte of text.
const knownFor = time.Second

// knownMaps is what multipathd has told last. That it does not answer is shared
// too: else all who wait would wait for it one after the other.
type knownMaps struct {
	mu   sync.Mutex
	at   time.Time // when that was
	maps []multipath.Map
	err  error
}

func (k *knownMaps) get(ctx context.Context, d daemon) ([]multipath.Map, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at.IsZero() || time.Since(k.at) >= knownFor {
		k.maps, k.err = d.Maps(ctx)
		k.at = time.Now()
	}
	return k.maps, k.err
}
