// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

const (
	volA = mallee.VolumeID("vol-aaaaaaaa")
	volB = mallee.VolumeID("vol-bbbbbbbb")
	nc1  = mallee.IQN("iqn.2026-11.io.mallee:nc1")
	nc2  = mallee.IQN("iqn.2026-11.io.mallee:nc2")
)

var chap = mallee.CHAP{Username: "nc1", Password: "ledger-of-secrets"}

// memory is a File in memory.
type memory struct{ content []byte }

func (m *memory) Read() ([]byte, error) {
	if m.content == nil {
		return nil, fs.ErrNotExist
	}
	return m.content, nil
}

func (m *memory) Write(b []byte) error {
	m.content = b
	return nil
}

func open(t testing.TB, f File) *Ledger {
	t.Helper()
	l, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func add(t testing.TB, l *Ledger, volume mallee.VolumeID, initiator mallee.IQN) uint16 {
	t.Helper()
	lun, err := l.Add(Key{volume, initiator}, chap, nil)
	if err != nil {
		t.Fatal(err)
	}
	return lun
}

func takeBack(t testing.TB, l *Ledger, volume mallee.VolumeID, initiator mallee.IQN, released uint16) Taken {
	t.Helper()
	taken, err := l.TakeBack(Key{volume, initiator}, released)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func volumeID(n int) mallee.VolumeID { return mallee.VolumeID(fmt.Sprintf("vol-%08x", n)) }

func TestALUNIsGivenOnlyOnceItsDirectoryIsOnDisk(t *testing.T) {
	file := Disk(filepath.Join(t.TempDir(), "exports.json")).(disk)
	var synced []string
	file.syncDir = func(dir string) error {
		if _, err := os.Stat(file.path); err != nil {
			t.Errorf("synced before the file was renamed: %v", err)
		}
		synced = append(synced, dir)
		return nil
	}
	l := open(t, file)
	add(t, l, volA, nc1)
	if diff := cmp.Diff([]string{filepath.Dir(file.path)}, synced); diff != "" {
		t.Errorf("directories synced: %s", diff)
	}
	file.syncDir = func(string) error { return errors.New("disk broken") }
	l.file = file
	if lun, err := l.Add(Key{volB, nc1}, chap, nil); err == nil {
		t.Errorf("LUN %d was given and may be forgotten", lun)
	}
}

func TestARetiredLUNIsKeptForItsVolume(t *testing.T) {
	for _, tt := range []struct {
		name     string
		released uint16 // with the unexport of LUN 1
		later    uint16 // released after that
		want     []Export
		wantLUN  uint16 // of the volume's next export
	}{
		{"not released", 0, 0, []Export{{Key{volA, nc1}, 1}}, 1},
		{"another LUN released", 2, 0, []Export{{Key{volA, nc1}, 1}}, 1},
		{"released with the unexport", 1, 0, []Export{}, 2},
		{"released later", 0, 1, []Export{}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := &memory{}
			l := open(t, file)
			add(t, l, volA, nc1)
			takeBack(t, l, volA, nc1, tt.released)
			takeBack(t, l, volA, nc1, tt.later)
			l = open(t, file)
			if diff := cmp.Diff(tt.want, l.Retired()); diff != "" {
				t.Error(diff)
			}
			if lun := add(t, l, volA, nc1); lun != tt.wantLUN {
				t.Errorf("exported again as LUN %d, want %d", lun, tt.wantLUN)
			}
			if got := l.Retired(); len(got) != 0 {
				t.Errorf("retired while it is exported: %v", got)
			}
		})
	}
}

func TestOthersCannotReleaseALUN(t *testing.T) {
	l := open(t, &memory{})
	add(t, l, volA, nc1)
	takeBack(t, l, volA, nc1, 0)
	takeBack(t, l, volB, nc1, 1)
	takeBack(t, l, volA, nc2, 1)
	if got := l.Retired(); len(got) != 1 {
		t.Errorf("retired: %v, want LUN 1 of %s", got, nc1)
	}
}

func TestWhatTakeBackTells(t *testing.T) {
	l := open(t, &memory{})
	add(t, l, volA, nc1)
	got := []Taken{
		takeBack(t, l, volA, nc1, 0), takeBack(t, l, volA, nc1, 0), takeBack(t, l, volA, nc1, 1), takeBack(t, l, volA, nc1, 1),
	}
	add(t, l, volA, nc1)
	got = append(got, takeBack(t, l, volA, nc1, 2))
	want := []Taken{{Ended: true, Retired: 1}, {}, {Freed: 1}, {}, {Ended: true, Freed: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHeldLUNsAreKept(t *testing.T) {
	l := open(t, &memory{})
	held := map[uint16]mallee.VolumeID{1: volA, 2: volB, 0: volA, MaxLUN + 1: volA, 9: "../x"}
	if lun, err := l.Add(Key{volB, nc1}, chap, held); err != nil || lun != 2 {
		t.Fatalf("LUN %d, error %v, want 2: the initiator holds it there", lun, err)
	}
	if diff := cmp.Diff([]Export{{Key{volA, nc1}, 1}}, l.Retired()); diff != "" {
		t.Error(diff)
	}
	if lun, err := l.Add(Key{volumeID(3), nc1}, chap, map[uint16]mallee.VolumeID{2: volA}); err != nil || lun != 3 {
		t.Errorf("LUN %d, error %v, want 3: what is exported is right, whatever a caller thinks", lun, err)
	}
}

func TestAnInitiatorHasManyLUNs(t *testing.T) {
	b := newBook()
	give := func(n int) uint16 {
		t.Helper()
		lun, err := b.give(Key{volumeID(n), nc1})
		if err != nil {
			t.Fatal(err)
		}
		return lun
	}
	for n := 1; n <= plainLUN; n++ {
		give(n)
	}
	if lun := give(256); lun != 256 {
		t.Errorf("the first volume beyond %d has LUN %d, want 256", plainLUN, lun)
	}
	delete(b.exported, Key{volumeID(7), nc1})
	if lun := give(300); lun != 7 {
		t.Errorf("LUN %d, want 7: it is plain, and free", lun)
	}
	for n := 1; n <= MaxLUN; n++ {
		b.retired[seat{nc1, uint16(n)}] = volA
	}
	clear(b.exported)
	_, err := b.give(Key{volB, nc1})
	if !errors.Is(err, ErrNoLUN) || !strings.Contains(err.Error(), "16383 LUNs are kept") {
		t.Errorf("error %v, want one that tells how many LUNs are kept", err)
	}
	if _, err := b.give(Key{volB, nc2}); err != nil {
		t.Errorf("another initiator: %v", err)
	}
}

func TestWhatTheKernelMapsIsRight(t *testing.T) {
	for _, tt := range []struct {
		name     string
		file     map[mallee.VolumeID]uint16
		retired  map[uint16]mallee.VolumeID
		last     uint16 // 0: the file knows none
		kernel   map[mallee.VolumeID]uint16
		want     []Export
		kept     map[seat]mallee.VolumeID
		wantLast uint16
	}{
		{
			name:   "no file",
			kernel: map[mallee.VolumeID]uint16{volA: 3, volB: 5},
			want:   []Export{{Key{volA, nc1}, 3}, {Key{volB, nc1}, 5}}, wantLast: 5,
		},
		{
			name: "another volume has the LUN in the file",
			file: map[mallee.VolumeID]uint16{volA: 3}, last: 3,
			kernel: map[mallee.VolumeID]uint16{volB: 3},
			want:   []Export{{Key{volB, nc1}, 3}}, wantLast: 3,
		},
		{
			name:    "another volume has a LUN that is retired",
			retired: map[uint16]mallee.VolumeID{3: volA}, last: 3,
			kernel: map[mallee.VolumeID]uint16{volB: 3},
			want:   []Export{{Key{volB, nc1}, 3}}, wantLast: 3,
		},
		{
			name: "two that changed places",
			file: map[mallee.VolumeID]uint16{volA: 1, volB: 2}, last: 2,
			kernel: map[mallee.VolumeID]uint16{volA: 2, volB: 1},
			want:   []Export{{Key{volA, nc1}, 2}, {Key{volB, nc1}, 1}}, wantLast: 2,
		},
		{
			name: "one that has moved: where it was the initiator may have it",
			file: map[mallee.VolumeID]uint16{volA: 1}, last: 2,
			kernel: map[mallee.VolumeID]uint16{volA: 2},
			want:   []Export{{Key{volA, nc1}, 2}}, kept: map[seat]mallee.VolumeID{{nc1, 1}: volA}, wantLast: 2,
		},
		{
			name:   "numbers that have begun again",
			last:   2,
			kernel: map[mallee.VolumeID]uint16{volA: 250},
			want:   []Export{{Key{volA, nc1}, 250}}, wantLast: 2,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := &memory{}
			l := open(t, file)
			for volume, lun := range tt.file {
				l.exported[Key{volume, nc1}] = lun
			}
			for lun, volume := range tt.retired {
				l.retired[seat{nc1, lun}] = volume
			}
			if tt.last != 0 {
				l.last[nc1] = tt.last
			}
			var live []Export
			for volume, lun := range tt.kernel {
				live = append(live, Export{Key{volume, nc1}, lun})
			}
			if err := l.Adopt(live); err != nil {
				t.Fatal(err)
			}
			next := open(t, file)
			if diff := cmp.Diff(tt.want, next.Exports()); diff != "" {
				t.Error(diff)
			}
			if tt.kept == nil {
				tt.kept = map[seat]mallee.VolumeID{}
			}
			if diff := cmp.Diff(tt.kept, next.retired, cmp.AllowUnexported(seat{})); diff != "" {
				t.Error(diff)
			}
			if next.last[nc1] != tt.wantLast {
				t.Errorf("LUN given last %d, want %d", next.last[nc1], tt.wantLast)
			}
		})
	}
}
