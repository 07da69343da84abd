// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lio"
	"github.com/mallee-io/mallee/internal/sp/ledger"
)

// exports is what this storage processor shall export, and which of it the kernel
// does export. It is safe for concurrent use.
type exports struct {
	*ledger.Ledger

	mu sync.Mutex
	// live has the exports that the kernel has. It is not kept: what was there
	// before a reboot is not there after it.
	live map[ledger.Key]bool
}

// setLive notes whether the kernel has an export, and reports whether that is new.
func (e *exports) setLive(key ledger.Key, live bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.live[key]
	if live {
		e.live[key] = true
	} else {
		delete(e.live, key)
	}
	return was != live
}

// adopt takes over what the kernel maps.
func (e *exports) adopt(mapped []lio.Mapping) error {
	live := make([]ledger.Export, 0, len(mapped))
	for _, m := range mapped {
		x := ledger.Export{Key: keyOf(m), LUN: m.LUN}
		live = append(live, x)
		e.setLive(x.Key, true)
	}
	return e.Adopt(live)
}

// established returns what the kernel does export of what it shall, sorted by volume
// and initiator. It leaves out what nobody could log in for after a reboot, because
// the secret is not known, from a file that was lost for example: it is asked for again.
func (e *exports) established() []ledger.Export {
	all := e.Exports()
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(all, func(x ledger.Export) bool {
		return !e.live[x.Key] || e.Secret(x.Initiator) == mallee.CHAP{}
	})
}

func keyOf(m lio.Mapping) ledger.Key {
	return ledger.Key{Volume: mallee.VolumeID(m.Backstore), Initiator: m.Initiator}
}

func mapping(x ledger.Export) lio.Mapping {
	return lio.Mapping{Initiator: x.Initiator, LUN: x.LUN, Backstore: string(x.Volume)}
}

// check returns the status for a caller who names an export that cannot be.
func check(key ledger.Key) error {
	if !key.Volume.Valid() {
		return invalidID(key.Volume)
	}
	if !key.Initiator.Valid() {
		return status.Errorf(codes.InvalidArgument, "%q is no initiator name of the form iqn.yyyy-mm.domain:name", key.Initiator)
	}
	return nil
}
