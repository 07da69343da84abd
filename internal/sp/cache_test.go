// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a start accepts is what the next one finds.
func FuzzCache(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"exports":[]}`,
		`{"version":1,"exports":[{"volume_id":"vol-aaaaaaaa","initiator":"iqn.2026-11.io.mallee:nc1","lun":9}],"last_luns":{"iqn.2026-11.io.mallee:nc1":9}}`,
		`{"version":2,"exports":[{"volume_id":"vol-aaaaaaaa","initiator":"iqn.2026-11.io.mallee:nc1","lun":1}],"secrets":{"iqn.2026-11.io.mallee:nc1":{"username":"nc1","password":"cache-of-secrets"}}}`,
		`{"version":2,"secrets":{"nc1":{}}}`,
		`{"version":3}`,
		`{"version":2,"exports":[{"volume_id":"../x","lun":-1}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e := newExports("")
		if e.parse(text) != nil {
			return
		}
		for key, lun := range e.luns {
			if key.check() != nil || lun < 1 || lun > maxLUN {
				t.Errorf("%v with LUN %d was accepted", key, lun)
			}
		}
		written, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		next := newExports("")
		if err := next.parse(written); err != nil {
			t.Fatalf("the next start: %v", err)
		}
		if diff := cmp.Diff(e.wanted(), next.wanted()); diff != "" {
			t.Error(diff)
		}
		for _, m := range e.wanted() {
			if e.secret(m.Initiator) != next.secret(m.Initiator) {
				t.Errorf("the secret of %s has changed", m.Initiator)
			}
		}
	})
}
