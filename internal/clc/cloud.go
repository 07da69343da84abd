// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"errors"
	"fmt"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/store"
)

// cloudRecord says whose the records are. There is one, under cloudID.
type cloudRecord struct {
	// CA is the fingerprint of the certificate authority that all parts of the
	// cloud have their certificates from.
	CA string
	// Restoring names the machine on which a restore has begun and not ended: the
	// records are partly of the backup and partly what they were.
	Restoring string `json:",omitzero"`
}

const cloudID = "cloud"

// claim makes sure that the records in s are this cloud's, and makes them so when
// there are none. With those of another every part would be told to let go of
// its volumes, or be kept out for its certificate.
func claim(ctx context.Context, s *store.Store, authority *ca.CA) error {
	const op = "use the records"
	return s.Update(ctx, func(tx *store.Tx) error {
		r, found, err := clouds.Get(tx, cloudID)
		switch {
		case err != nil:
			return err
		case !found:
			return clouds.Put(tx, cloudID, cloudRecord{CA: authority.Fingerprint()})
		case r.Restoring != "":
			return &mallee.Error{
				Op: op, Kind: mallee.IncorrectState,
				Err:  fmt.Errorf("a restore that has begun on %s has not ended", r.Restoring),
				Hint: "start the cloud controller there, which ends it; if that machine is lost, copy the backup to " + pendingFile + " in the state directory of this one",
			}
		case r.CA != authority.Fingerprint():
			return &mallee.Error{
				Op: op, Kind: mallee.IncorrectState,
				Err:  errors.New("they belong to a cloud with another certificate authority than the one in the state directory"),
				Hint: "give each cloud an etcd of its own; several controllers of one cloud need the same ca directory, copied by hand",
			}
		}
		return nil
	})
}
