// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/multipath"
)

// claim takes v's identity for v until it is detached. It returns an error if it is
// another volume's: an array that gives one identity twice would have two volumes
// share one map, and each take the other's disks for its own. The volume that was
// here first keeps it. State is locked.
func (c *Connector) claim(state *volume, v Volume) error {
	owner, err := c.owner(state, v)
	if err != nil {
		return err
	}
	if owner != "" && owner != v.Name {
		return fmt.Errorf("%s has the identity %s of %s, which is attached here: the array has given it twice", v.Name, v.WWID, owner)
	}
	state.name = v.Name
	return nil
}

// owner returns the name of the volume that has v's identity on this machine, or ""
// if none has. State is locked.
func (c *Connector) owner(state *volume, v Volume) (string, error) {
	if state.name != "" {
		return state.name, nil
	}
	// Another process may have attached it.
	m, err := c.maps.MapByUUID(multipath.UUIDPrefix + v.WWID)
	if errors.Is(err, dm.ErrNotFound) || err == nil && c.linked(v, m.Name) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	// Links may be stale: after a flush of all maps, say, the kernel gives their
	// numbers to others.
	if here, err := c.reaches(m, v); err != nil || here {
		return "", err
	}
	links, err := os.ReadDir(c.directory)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, l := range links {
		to, err := os.Readlink(filepath.Join(c.directory, l.Name()))
		if err == nil && to == "../"+m.Name && !strings.HasSuffix(l.Name(), newLink) {
			return l.Name(), nil
		}
	}
	return "", nil
}

// reaches reports whether a map has a path through a disk at v's LUN of v's target.
func (c *Connector) reaches(m dm.Map, v Volume) (bool, error) {
	sessions, err := c.initiator.Sessions()
	if err != nil {
		return false, err
	}
	for _, s := range sessions {
		if s.Portal.Target != v.Target {
			continue
		}
		d, found, err := c.disks.SessionDisk(s.ID, uint64(v.LUN))
		if err != nil {
			return false, err
		}
		inMap := func(p dm.Path) bool { return p.Major == d.Major && p.Minor == d.Minor }
		if found && slices.ContainsFunc(m.Paths, inMap) {
			return true, nil
		}
	}
	return false, nil
}
