// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"testing"

	"github.com/mallee-io/mallee"
)

func TestWWIDIsReadableAndValid(t *testing.T) {
	for _, tt := range []struct {
		id   mallee.VolumeID
		want mallee.WWID
	}{
		{"vol-1a2b3c4d", "360014056d6c6c65fffffffff1a2b3c4d"},
		{"vol-0123456789abcdef0", "360014056d6c6c650123456789abcdef0"},
		{"vol-0000000001a2b3c4d", "360014056d6c6c650000000001a2b3c4d"},
	} {
		t.Run(string(tt.id), func(t *testing.T) {
			if got := WWID(tt.id); got != tt.want || !got.Valid() {
				t.Errorf("WWID %s, valid %v, want %s", got, got.Valid(), tt.want)
			}
			if s := serial(tt.id); len(s) != 32 {
				t.Errorf("serial %s has %d digits, want 32", s, len(s))
			}
		})
	}
}
