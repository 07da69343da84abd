// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a start accepts is what the next one finds.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"exports":[]}`,
		`{"version":1,"exports":[{"volume_id":"vol-aaaaaaaa","initiator":"iqn.2026-11.io.mallee:nc1","lun":9}],"last_luns":{"iqn.2026-11.io.mallee:nc1":9}}`,
		`{"version":2,"exports":[{"volume_id":"vol-aaaaaaaa","initiator":"iqn.2026-11.io.mallee:nc1","lun":1}],"secrets":{"iqn.2026-11.io.mallee:nc1":{"username":"nc1","password":"cache-of-secrets"}}}`,
		`{"version":2,"secrets":{"nc1":{}}}`,
		`{"version":3,"retired":[{"volume_id":"vol-aaaaaaaa","initiator":"iqn.2026-11.io.mallee:nc1","lun":16383},{"volume_id":"vol-aaaaaaaa","initiator":"iqn.2026-11.io.mallee:nc1","lun":1}]}`,
		`{"version":3,"exports":[{"volume_id":"vol-aaaaaaaa","initiator":"iqn.2026-11.io.mallee:nc1","lun":1}],"retired":[{"volume_id":"vol-bbbbbbbb","initiator":"iqn.2026-11.io.mallee:nc1","lun":1}]}`,
		`{"version":4}`,
		`{"version":2,"exports":[{"volume_id":"../x","lun":-1}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		have, err := parse(text)
		if err != nil {
			return
		}
		for _, e := range append(have.exports(), have.retirees()...) {
			if err := e.valid(); err != nil {
				t.Errorf("accepted: %v", err)
			}
		}
		written, err := have.encode()
		if err != nil {
			t.Fatal(err)
		}
		next, err := parse(written)
		if err != nil {
			t.Fatalf("the next start: %v", err)
		}
		if diff := cmp.Diff(have.exports(), next.exports()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(have.retirees(), next.retirees()); diff != "" {
			t.Error(diff)
		}
		for key := range have.exported {
			if have.chap[key.Initiator] != next.chap[key.Initiator] {
				t.Errorf("the secret of %s has changed", key.Initiator)
			}
		}
	})
}
