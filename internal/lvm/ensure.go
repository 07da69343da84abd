// SPDX-License-Identifier: Apache-2.0

package lvm

import (
	"context"
	"errors"
	"fmt"
)

// poolShare is what a pool that we make takes of the free room of its group.
// The rest is for the pool's metadata to grow into: a pool whose metadata has
// run full goes read-only, and can be repaired only if there is room.
const poolShare = "95%FREE"

// Ensure makes the pool if it is missing, activates it, and holds it to two
// settings, whoever made it:
//
//   - New blocks are zeroed, so that nobody reads what a deleted volume held.
//   - A write that finds the pool full fails at once. The default is to queue it
//     for a minute; meanwhile the session that it came by stalls, and with it
//     every other volume of that node.
func (p *Pool) Ensure(ctx context.Context) error {
	r, err := p.report(ctx)
	if errors.Is(err, errNoPool) {
		if err := p.change(ctx, changeTimeout, "lvcreate", "--yes", "--type", "thin-pool", "--zero", "y",
			"--extents", poolShare, "--name", p.name, p.group); err != nil {
			return fmt.Errorf("cannot create pool %s/%s: %w", p.group, p.name, err)
		}
		r, err = p.report(ctx)
	}
	if err != nil {
		return err
	}
	// lvm refuses to set what is set already.
	if !r.zero {
		if err := p.set(ctx, "--zero", "y"); err != nil {
			return err
		}
	}
	if !r.errorWhenFull {
		if err := p.set(ctx, "--errorwhenfull", "y"); err != nil {
			return err
		}
	}
	if r.active {
		return nil
	}
	return p.set(ctx, "--activate", "y")
}

func (p *Pool) set(ctx context.Context, option, value string) error {
	if err := p.change(ctx, changeTimeout, "lvchange", "--yes", option, value, p.group+"/"+p.name); err != nil {
		return fmt.Errorf("cannot set %s of pool %s/%s: %w", option, p.group, p.name, err)
	}
	return nil
}
