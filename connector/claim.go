// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	links, err := os.ReadDir(c.directory)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, l := range links {
		to, err := os.Readlink(filepath.Join(c.directory, l.Name()))
		if err == nil && to == "../"+m.Name && l.Name() != v.Name+newLink {
			return l.Name(), nil
		}
	}
	return "", nil
}
