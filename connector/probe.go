// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

const (
	inquiryTimeout = 3 * time.Second
	// provenFor is how long a proof of identity is good: an array may be
	// reconfigured under a session that never broke.
	provenFor = 5 * time.Second
	// lunRetry is the pause before a LUN that was not there is looked for again.
	lunRetry = 2 * time.Second
	// quarantine is the pause before a LUN of another identity is looked at again.
	quarantine = 30 * time.Second
)

// volume is what is remembered of a Volume between calls; all of it can be
// found out again.
type volume struct {
	sync.Mutex        // serialises the calls for one WWID
	target     string // guarded by Connector.mu; empty once the volume is being detached

	probes struct {
		sync.Mutex
		sync.WaitGroup
		closed  bool
		session map[int]*probe // by the session's number
	}
}

// probe is the search for the LUN on one session, and the proof of its identity.
// It runs beside the calls, since a path that hangs must delay nobody.
type probe struct {
	running bool
	at      time.Time // when the last one ended
	disk    block.Disk
	addAt   time.Time // when multipathd may be asked to add the disk
	err     error
	wrong   bool // err is that of another identity
}

// probe returns what is known of v's LUN on session s, and starts a new look
// when that is due.
func (c *Connector) probe(ctx context.Context, state *volume, v Volume, s openiscsi.Session) probe {
	state.probes.Lock()
	defer state.probes.Unlock()
	if state.probes.session == nil {
		state.probes.session = map[int]*probe{}
	}
	p := state.probes.session[s.ID]
	if p == nil {
		p = &probe{}
		state.probes.session[s.ID] = p
	}
	pause := provenFor
	switch {
	case p.wrong:
		pause = quarantine
	case p.err != nil:
		pause = lunRetry
	}
	if !p.running && !state.probes.closed && time.Since(p.at) >= pause {
		p.running = true
		state.probes.Go(func() { c.runProbe(context.WithoutCancel(ctx), state, v, s, p) })
	}
	return *p
}

func (c *Connector) runProbe(ctx context.Context, state *volume, v Volume, s openiscsi.Session, p *probe) {
	disk, wrong, err := c.look(ctx, v, s)

	state.probes.Lock()
	news := p.at.IsZero() || (err == nil) != (p.err == nil) || disk.Name != p.disk.Name
	p.running, p.at, p.disk, p.err, p.wrong = false, time.Now(), disk, err, wrong
	if news && err == nil {
		p.addAt = p.at.Add(adoptionPatience)
	}
	state.probes.Unlock()
	if !news {
		return
	}
	if err != nil {
		c.log.WarnContext(ctx, "path not verified", "path", s.Portal.String(), "wwid", v.WWID, "error", err)
	} else {
		c.log.InfoContext(ctx, "path verified", "path", s.Portal.String(), "wwid", v.WWID, "disk", disk.Name)
	}
	c.wake.Send()
}

// look finds v's LUN on session s, scanning for it if need be, and has it prove
// its identity. A disk of another identity is removed at once.
func (c *Connector) look(ctx context.Context, v Volume, s openiscsi.Session) (disk block.Disk, wrong bool, err error) {
	disk, found, err := c.findDisk(v, s)
	if err == nil && !found {
		if err = c.devices.ScanLUN(s.Host, uint64(v.LUN)); err == nil {
			disk, found, err = c.awaitDisk(ctx, v, s)
		}
	}
	if err != nil {
		return disk, false, err
	}
	if !found {
		return disk, false, fmt.Errorf("the target shows no LUN %d here", v.LUN)
	}
	wwid, err := c.devices.WWID(disk.Name, inquiryTimeout)
	if err != nil {
		return disk, false, err
	}
	if wwid != v.WWID {
		err := fmt.Errorf("LUN %d has identity %s, not %s", v.LUN, wwid, v.WWID)
		c.log.ErrorContext(ctx, "disk removed: another identity answered", "path", s.Portal.String(),
			"disk", disk.Name, "lun", v.LUN, "wwid", v.WWID, "answered", wwid)
		if deleteErr := c.devices.DeleteDisk(disk.Name); deleteErr != nil {
			err = fmt.Errorf("%w; %w", err, deleteErr)
		}
		return block.Disk{}, true, err
	}
	// What is inside is the guest's: the kernel reads the partition table of
	// every new disk by itself.
	if err := c.devices.ForgetPartitions(disk.Name); err != nil {
		c.log.WarnContext(ctx, "partitions stay visible", "disk", disk.Name, "error", err)
	}
	return disk, false, nil
}

// awaitDisk waits for the disk of a LUN that was just scanned: the kernel makes
// the SCSI device at once and its disk a moment later (drivers/scsi/sd.c probes
// asynchronously).
func (c *Connector) awaitDisk(ctx context.Context, v Volume, s openiscsi.Session) (block.Disk, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lunRetry)
	defer cancel()
	for {
		changed := c.Changed()
		disk, found, err := c.findDisk(v, s)
		if found || err != nil {
			return disk, found, err
		}
		select {
		case <-ctx.Done():
			return c.findDisk(v, s) // no event comes while Run does not run
		case <-changed:
		}
	}
}

func (c *Connector) findDisk(v Volume, s openiscsi.Session) (block.Disk, bool, error) {
	disks, err := c.devices.SessionDisks(s.ID)
	for _, d := range disks {
		if d.LUN == uint64(v.LUN) {
			return d, true, nil
		}
	}
	return block.Disk{}, false, err
}

// closeProbes stops new looks and waits until those that run have ended: one
// that scans would bring back a disk that was just removed.
func (state *volume) closeProbes(ctx context.Context) error {
	state.probes.Lock()
	state.probes.closed = true
	state.probes.Unlock()
	done := make(chan struct{})
	go func() {
		state.probes.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a look at a path has not ended: %w", ctx.Err())
	}
}
