// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/dm"
)

// maker notes what maps are asked for, and answers with err.
func (m *machine) maker(err error) *[]dm.Spec {
	var specs []dm.Spec
	deviceMapper(m.Connector).create = func(s dm.Spec) (dm.Device, error) {
		specs = append(specs, s)
		if err == nil {
			m.say(mapOf(wwid, "dm-0", "sdb"))
			m.has(wwid, "dm-0")
		}
		return dm.Device{Name: "dm-0"}, err
	}
	return &specs
}

// alone shows session 1 with sdb, in no map.
func alone(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.is("sdb", wwid)
	m.leave("sdb")
	return m
}

// leave takes a disk out of its map.
func (m *machine) leave(disk string) {
	m.t.Helper()
	if err := os.RemoveAll(filepath.Join(m.dir, "block", disk, "holders", "dm-0")); err != nil {
		m.t.Fatal(err)
	}
}

// age makes what was found of each session that much older.
func (m *machine) age(by time.Duration) {
	ps := &m.volume(wwid).probes
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.session {
		p.at = p.at.Add(-by)
	}
}

func TestAProvedPathMakesTheMap(t *testing.T) {
	m := alone(t)
	specs := m.maker(nil)
	first, err := m.Repair(t.Context(), vol())
	if err != nil || len(*specs) != 0 {
		t.Fatalf("before the proof %d maps were made, %v: %+v", len(*specs), err, first)
	}
	settle(m.Connector)
	status, err := m.Repair(t.Context(), vol())
	if err != nil {
		t.Fatal(err)
	}
	if !status.Ready || status.Map != "dm-0" || status.Up() != 1 {
		t.Errorf("%+v", status)
	}
	if text, _ := os.ReadFile(wwidsOf(m.Connector).File); !strings.Contains(string(text), "\n/"+wwid+"/\n") {
		t.Errorf("multipathd may not have the map: its file holds %q", text)
	}
	want := []dm.Spec{{Name: wwid, UUID: "mpath-" + wwid, SizeBytes: 1 << 30, Paths: []dm.Number{{Major: 8, Minor: 16}}}}
	if diff := cmp.Diff(want, *specs); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if status := m.repair(vol()); !status.Ready || len(*specs) != 1 {
		t.Errorf("made again: %+v", status)
	}
}

func TestNoMapIsMadeOf(t *testing.T) {
	for name, test := range map[string]struct {
		is     func(*machine)
		volume func(*Volume)
	}{
		"a disk of another identity":     {func(m *machine) { m.is("sdb", other) }, nil},
		"a disk that does not answer":    {func(m *machine) { delete(m.answers, "sdb") }, nil},
		"a disk that is too small":       {nil, func(v *Volume) { v.SizeBytes = 2 << 30 }},
		"fewer paths than there must be": {nil, func(v *Volume) { v.MinPaths = 2 }},
		"a disk in another's map": {func(m *machine) {
			m.write("devices/platform/host2/session1/target2:0:0/2:0:0:5/block/sdb/holders/dm-4/dm/uuid", "LVM-of-somebody")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := alone(t)
			specs := m.maker(nil)
			v := vol()
			if test.is != nil {
				test.is(m)
			}
			if test.volume != nil {
				test.volume(&v)
			}
			if status := m.repair(v); status.Ready || len(*specs) != 0 {
				t.Errorf("%d maps were made: %+v", len(*specs), status)
			}
		})
	}
}

func TestADiskInAnothersMapIsNamed(t *testing.T) {
	m := alone(t)
	m.write("devices/platform/host2/session1/target2:0:0/2:0:0:5/block/sdb/holders/dm-4/dm/uuid", "LVM-of-somebody")
	got := m.repair(vol()).Paths[0]
	if got.State != PathQuarantined || got.Disk != "sdb" || !strings.Contains(got.Reason, "part of dm-4") {
		t.Errorf("%+v", got)
	}
	if m.deleted("sdb") {
		t.Error("it was taken from under somebody's map")
	}
}

// Whoever comes second to make a map joins it.
func TestAMapThatMultipathdHasMadeIsJoined(t *testing.T) {
	m := alone(t)
	specs := m.maker(dm.ErrExists)
	m.repair(vol())
	if len(*specs) != 1 {
		t.Fatalf("%d maps", len(*specs))
	}
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	if status := m.repair(vol()); !status.Ready || status.Up() != 1 {
		t.Errorf("%+v", status)
	}
}

// A map that cannot be made is not asked for at each event.
func TestAMapThatCannotBeMadeIsTriedAgainLater(t *testing.T) {
	m := alone(t)
	specs := m.maker(dm.ErrBusy)
	for range 5 {
		m.repair(vol())
	}
	if len(*specs) != 1 {
		t.Errorf("tried %d times at once", len(*specs))
	}
	m.volume(wwid).makeAt = time.Time{} // its time has come
	if m.repair(vol()); len(*specs) != 2 {
		t.Errorf("tried %d times, want once more", len(*specs))
	}
}

// multipathd that loses the race for a map removes the one that it finds, unless
// somebody has it open.
func TestAMapThatWasMadeIsHeldUntilMultipathdKnowsIt(t *testing.T) {
	for name, end := range map[string]func(*machine){
		"it knows it": func(m *machine) {
			m.reported = knownMaps{}
			m.volume(wwid).adoption.askNext = time.Time{}
			m.repair(vol())
		},
		"the volume is detached": func(m *machine) {
			m.iscsiadm(0)
			// There is no /dev/dm-0 here to flush.
			if err := m.Detach(t.Context(), vol()); err == nil {
				t.Error("no error")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := alone(t)
			m.maker(nil)
			held := &diskTree(m.Connector).held
			if status := m.repair(vol()); !status.Ready || held.Load() != 1 {
				t.Fatalf("held %d times: %+v", held.Load(), status)
			}
			if m.repair(vol()); held.Load() != 1 {
				t.Errorf("held %d times before multipathd had its time", held.Load())
			}
			if end(m); held.Load() != 0 {
				t.Errorf("held %d times at the end", held.Load())
			}
		})
	}
}

// A map that multipathd does not know, because it was starting, is shown to it.
func TestMultipathdIsToldOfAMapThatItMissed(t *testing.T) {
	m := alone(t)
	m.has(wwid, "dm-0")
	m.repair(vol())
	if got := m.asked("add map"); got != 0 {
		t.Fatalf("told %d times before it had its time", got)
	}
	m.volume(wwid).adoption.askNext = time.Time{}
	if m.repair(vol()); m.asked("add map dm-0") != 1 {
		t.Errorf("told %d times, want once", m.asked("add map dm-0"))
	}
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.reported = knownMaps{}
	m.volume(wwid).adoption.askNext = time.Time{}
	m.repair(vol())
	if !m.volume(wwid).adoption.done || m.asked("add map dm-0") != 1 {
		t.Errorf("it knows the map now, and was told %d times", m.asked("add map dm-0"))
	}
}

// When the target says that its LUNs have changed, each proof is old at once.
func TestADoubtedDiskProvesItselfAgain(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	if status := m.repair(vol()); !status.Ready {
		t.Fatalf("%+v", status)
	}
	m.is("sdb", other)
	if status := m.repair(vol()); m.deleted("sdb") {
		t.Fatalf("it was looked at again without a reason: %+v", status)
	}
	m.age(2 * doubtedFor)
	m.doubt(1)
	if got := m.repair(vol()).Paths[0]; got.State != PathQuarantined || !m.deleted("sdb") {
		t.Errorf("%+v, deleted %t", got, m.deleted("sdb"))
	}
}

// The kernel gives the name of a disk that is gone to the next one.
func TestNoMapIsMadeOfADiskThatHasTheNameOfOneThatWasProved(t *testing.T) {
	const device = "devices/platform/host2/session1/target2:0:0/2:0:0:"
	for name, replace := range map[string]func(*machine){
		"at another LUN": func(m *machine) {
			if err := os.Rename(filepath.Join(m.dir, device+"5"), filepath.Join(m.dir, device+"6")); err != nil {
				m.t.Fatal(err)
			}
			m.write(device+"6/wwid", "naa."+other[1:])
		},
		"at the same LUN": func(m *machine) { m.write(device+"5/wwid", "naa."+other[1:]) },
	} {
		t.Run(name, func(t *testing.T) {
			m := alone(t)
			specs := m.maker(nil)
			if _, err := m.Repair(t.Context(), vol()); err != nil {
				t.Fatal(err)
			}
			settle(m.Connector)
			replace(m)
			m.is("sdb", other)
			if status := m.repair(vol()); status.Ready || len(*specs) != 0 {
				t.Errorf("%d maps were made: %+v", len(*specs), status)
			}
		})
	}
}
