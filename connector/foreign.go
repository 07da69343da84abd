// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"strings"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// foreign returns an error if a device that is no multipath map holds a disk. It is
// another tool's, and would lose its disk: the disk stays, however wrong it is.
func foreign(d block.Disk) error {
	if d.Map == "" || strings.HasPrefix(d.MapUUID, multipath.UUIDPrefix) {
		return nil
	}
	return fmt.Errorf("%s is part of %s, which somebody else has made", d.Name, d.Map)
}

// deleteDisk makes the kernel forget a disk of a session. An answer or a removal
// before may have taken seconds: by now another disk may have its name, which is
// success, or another tool the disk, which is an error.
func (c *Connector) deleteDisk(s openiscsi.Session, d block.Disk) error {
	now, found, err := c.disks.SessionDisk(s.ID, d.LUN)
	if err != nil || !found || now.Name != d.Name {
		return err
	}
	if err := foreign(now); err != nil {
		return err
	}
	return c.disks.DeleteDisk(s.ID, d)
}
