// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"strings"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/multipath"
)

// foreign returns an error if a device that is no multipath map holds a disk. It is
// another tool's, and would lose its disk: the disk stays, however wrong it is.
func foreign(d block.Disk) error {
	if d.Map == "" || strings.HasPrefix(d.MapUUID, multipath.UUIDPrefix) {
		return nil
	}
	return fmt.Errorf("%s is part of %s, which somebody else has made", d.Name, d.Map)
}
