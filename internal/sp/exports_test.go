// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lio"
)

const (
	volA      = mallee.VolumeID("vol-aaaaaaaa")
	volB      = mallee.VolumeID("vol-bbbbbbbb")
	initiator = mallee.IQN("iqn.2026-11.io.mallee:nc1")
)

var secret = mallee.CHAP{Username: "nc1", Password: "cache-of-secrets"}

func TestALUNIsGivenOnlyOnceItsDirectoryIsOnDisk(t *testing.T) {
	dir := t.TempDir()
	e := newExports(filepath.Join(dir, "exports.json"))
	var synced []string
	e.syncDir = func(dir string) error {
		if _, err := os.Stat(e.file); err != nil {
			t.Errorf("synced before the file was renamed: %v", err)
		}
		synced = append(synced, dir)
		return nil
	}
	if _, err := e.add(exportKey{volA, initiator}, secret); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{dir}, synced); diff != "" {
		t.Errorf("directories synced: %s", diff)
	}
	e.syncDir = func(string) error { return errors.New("disk broken") }
	if lun, err := e.add(exportKey{volB, initiator}, secret); err == nil {
		t.Errorf("LUN %d was given and may be forgotten", lun)
	}
}

func TestWhatTheKernelMapsIsRight(t *testing.T) {
	for _, tt := range []struct {
		name     string
		file     map[exportKey]uint16
		last     uint16 // 0: the file knows none
		kernel   map[mallee.VolumeID]uint16
		want     map[exportKey]uint16
		wantLast uint16
	}{
		{
			name:   "no file",
			kernel: map[mallee.VolumeID]uint16{volA: 3, volB: 5},
			want:   map[exportKey]uint16{{volA, initiator}: 3, {volB, initiator}: 5}, wantLast: 5,
		},
		{
			name: "another volume has the LUN in the file",
			file: map[exportKey]uint16{{volA, initiator}: 3}, last: 3,
			kernel: map[mallee.VolumeID]uint16{volB: 3},
			want:   map[exportKey]uint16{{volB, initiator}: 3}, wantLast: 3,
		},
		{
			name: "two that changed places",
			file: map[exportKey]uint16{{volA, initiator}: 1, {volB, initiator}: 2}, last: 2,
			kernel: map[mallee.VolumeID]uint16{volA: 2, volB: 1},
			want:   map[exportKey]uint16{{volA, initiator}: 2, {volB, initiator}: 1}, wantLast: 2,
		},
		{
			name:   "numbers that have begun again",
			last:   2,
			kernel: map[mallee.VolumeID]uint16{volA: 250},
			want:   map[exportKey]uint16{{volA, initiator}: 250}, wantLast: 2,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newExports(filepath.Join(t.TempDir(), "exports.json"))
			for key, lun := range tt.file {
				e.luns[key] = lun
			}
			if tt.last != 0 {
				e.last[initiator] = tt.last
			}
			var live []lio.Mapping
			for volume, lun := range tt.kernel {
				live = append(live, lio.Mapping{Initiator: initiator, LUN: lun, Backstore: string(volume)})
			}
			if err := e.adopt(live); err != nil {
				t.Fatal(err)
			}
			next, err := loadExports(e.file)
			if err != nil {
				t.Fatalf("the next start: %v", err)
			}
			if diff := cmp.Diff(tt.want, next.luns, cmp.AllowUnexported(exportKey{})); diff != "" {
				t.Error(diff)
			}
			if next.last[initiator] != tt.wantLast {
				t.Errorf("LUN given last %d, want %d", next.last[initiator], tt.wantLast)
			}
		})
	}
}
