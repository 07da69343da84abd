// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// playedDisks are disks in a tree of files that say who they are as the test has it.
type playedDisks struct {
	block.Devices
	inquire func(disk string, timeout time.Duration) (string, error)
	held    atomic.Int32 // maps that are kept open
}

func (p *playedDisks) Hold(string) (io.Closer, error) {
	p.held.Add(1)
	return p, nil
}

// Close lets go of one map.
func (p *playedDisks) Close() error {
	p.held.Add(-1)
	return nil
}

func (p *playedDisks) WWID(disk string, timeout time.Duration) (string, error) {
	return p.inquire(disk, timeout)
}

// playedMaps is a device mapper whose maps are as the test has them.
type playedMaps struct {
	list   func() []dm.Map
	create func(dm.Spec) (dm.Device, error)
	remove func(uuid string) error
}

func (p *playedMaps) Maps(prefix string) ([]dm.Map, error) {
	var found []dm.Map
	if p.list == nil {
		return nil, nil
	}
	for _, m := range p.list() {
		if strings.HasPrefix(m.UUID, prefix) {
			found = append(found, m)
		}
	}
	return found, nil
}

func (p *playedMaps) MapByUUID(uuid string) (dm.Map, error) {
	if found, _ := p.Maps(uuid); len(found) > 0 {
		return found[0], nil
	}
	return dm.Map{}, dm.ErrNotFound
}

func (p *playedMaps) CreateMultipath(s dm.Spec) (dm.Device, error) {
	if p.create == nil {
		return dm.Device{}, fmt.Errorf("cannot make map %s: %w", s.Name, dm.ErrBusy)
	}
	return p.create(s)
}

func (p *playedMaps) Remove(uuid string) error {
	if p.remove == nil {
		return dm.ErrNotFound
	}
	return p.remove(uuid)
}

func (p *playedMaps) Message(string, string) error { return nil }

// numberOf returns the device number of a disk: 8:16 for sdb.
func numberOf(disk string) dm.Number {
	return dm.Number{Major: 8, Minor: 16 * uint32(disk[len(disk)-1]-'a')}
}

// The parts of a test's Connector that live in a tree of files.

func iscsi(c *Connector) *openiscsi.Initiator { return c.initiator.(*openiscsi.Initiator) }
func diskTree(c *Connector) *playedDisks      { return c.disks.(*playedDisks) }
func daemonOf(c *Connector) *multipath.Client { return c.daemon.(*multipath.Client) }
func wwidsOf(c *Connector) *multipath.Allowed { return c.allowed.(*multipath.Allowed) }
func deviceMapper(c *Connector) *playedMaps   { return c.maps.(*playedMaps) }
