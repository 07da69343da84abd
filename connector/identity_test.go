// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/dm"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// answering is one disk that says who it is.
type answering struct {
	disks
	disk    block.Disk
	answer  string
	deleted bool
}

func (a *answering) SessionDisk(int, uint64) (block.Disk, bool, error) { return a.disk, true, nil }

func (a *answering) ForgetPartitions(string) error { return nil }

func (a *answering) WWID(string, time.Duration) (string, error) {
	if a.answer == "" {
		return "", errors.New("no answer")
	}
	return a.answer, nil
}

func (a *answering) DeleteDisk(int, block.Disk) error {
	a.deleted = true
	return nil
}

// What the kernel takes a disk for, what it answers, and what holds it decide what
// becomes of it.
func TestProve(t *testing.T) {
	const third = "360014056d6c6c650000000000000000b"
	for _, test := range []struct {
		name          string
		taken, answer string
		mapUUID       string // of the map that holds it; "-" for one without
		ok, refused   bool
		deleted       bool
		reason        string
	}{
		{name: "the volume, in no map", taken: wwid, answer: wwid, ok: true},
		{name: "the volume, in its map", taken: wwid, answer: wwid, mapUUID: "mpath-" + wwid, ok: true},
		{name: "no answer", taken: wwid, mapUUID: "mpath-" + wwid, reason: "no answer"},
		{name: "another, in no map", taken: other, answer: other, refused: true, deleted: true, reason: other},
		{name: "another by now, in the volume's map", taken: wwid, answer: other, mapUUID: "mpath-" + wwid, refused: true, deleted: true, reason: other},
		{name: "the volume, taken for what was there before", taken: other, answer: wwid, deleted: true, reason: "before"},
		{name: "the volume, in the map of what was there before", taken: other, answer: wwid, mapUUID: "mpath-" + other, deleted: true, reason: "before"},
		{name: "the volume, found without an identity", taken: "", answer: wwid, deleted: true, reason: "before"},
		{name: "a third, in the map of what was there before", taken: other, answer: third, mapUUID: "mpath-" + other, refused: true, deleted: true, reason: third},
		{name: "another, rightly in use as that", taken: other, answer: other, mapUUID: "mpath-" + other, refused: true, reason: "in use as that by dm-7"},
		{name: "another, held by another tool", taken: other, answer: other, mapUUID: "LVM-x", refused: true, reason: "part of dm-7"},
		{name: "the volume by now, held by another tool", taken: other, answer: wwid, mapUUID: "-", refused: true, reason: "part of dm-7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk := &answering{answer: test.answer}
			c := &Connector{log: slog.New(slog.DiscardHandler), disks: disk}
			d := block.Disk{Name: "sdb", LUN: 5, WWID: test.taken}
			if test.mapUUID != "" {
				d.Map, d.MapUUID = "dm-7", strings.TrimPrefix(test.mapUUID, "-")
			}
			disk.disk = d
			condemned := false
			err := c.prove(t.Context(), vol(), openiscsi.Session{ID: 1}, d, func(error) { condemned = true })
			if want := test.answer != "" && test.answer != wwid; condemned != want {
				t.Errorf("condemned at once: %t, want %t", condemned, want)
			}
			if (err == nil) != test.ok || err != nil && !strings.Contains(err.Error(), test.reason) {
				t.Errorf("error %v, want one that says %q", err, test.reason)
			}
			r, refused := errors.AsType[*refusal](err)
			if refused != test.refused || refused && r.stays == test.deleted {
				t.Errorf("refusal %+v, want %t", r, test.refused)
			}
			if disk.deleted != test.deleted {
				t.Errorf("the disk was removed: %t, want %t", disk.deleted, test.deleted)
			}
		})
	}
}

// multipathd takes a disk at any LUN for a path that has the volume's identity.
func TestOfTwoLUNsWithOneIdentityTheOtherIsRemoved(t *testing.T) {
	disk := &answering{answer: wwid}
	c := &Connector{log: slog.New(slog.DiscardHandler), disks: disk}
	d := block.Disk{Name: "sdc", LUN: 6, WWID: wwid, Map: "dm-0", MapUUID: "mpath-" + wwid}
	disk.disk = d
	session := func(target string) openiscsi.Session {
		return openiscsi.Session{ID: 1, Portal: openiscsi.Portal{Target: target}}
	}
	if err := c.proveStray(t.Context(), vol(), session("iqn.2025-01.io.mallee:another"), d, func(error) {}); err != nil || disk.deleted {
		t.Errorf("a path through another target was refused: %v", err)
	}
	err := c.proveStray(t.Context(), vol(), session(target), d, func(error) {})
	if _, refused := errors.AsType[*refusal](err); !refused || !disk.deleted || !strings.Contains(err.Error(), "LUN 6") {
		t.Errorf("error %v, removed: %t", err, disk.deleted)
	}
}

// What came into the map and was removed is told for a while, though it was not
// expected.
func TestAPathThatWasExcludedIsTold(t *testing.T) {
	var ps probes
	for range 2 {
		ps.exclude(openiscsi.Session{}, &refusal{reason: "twin"})
	}
	list := ps.recent()
	if len(list) != 1 || list[0].State != PathQuarantined || list[0].Reason != "twin" {
		t.Errorf("told as %+v", list)
	}
	for i := range ps.excluded {
		ps.excluded[i].at = time.Now().Add(-quarantine - time.Second)
	}
	if list := ps.recent(); !slices.Equal(list, nil) {
		t.Errorf("still told: %+v", list)
	}
}

// An array that gives one identity twice must not have two volumes share a map. The
// one that was here first keeps it, also over a restart.
func TestOneIdentityIsOneVolumes(t *testing.T) {
	m := newMachine(t)
	first, second := vol(), vol()
	second.Name, second.LUN = "vol-5e6f7a8b", 6
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	m.repair(first)
	if !m.linked(first, "dm-0") {
		t.Fatal("the first volume was not handed out")
	}
	for _, process := range []string{"the same process", "another process"} {
		_, err := m.Repair(t.Context(), second)
		if err == nil || !strings.Contains(err.Error(), first.Name) || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: error %v, want one that names %s", process, err, first.Name)
		}
		if err := m.Detach(t.Context(), second); err != nil {
			t.Errorf("%s: the refused volume cannot be detached: %v", process, err)
		}
		if !m.linked(first, "dm-0") || m.linked(second, "dm-0") {
			t.Errorf("%s: the first volume has lost its device", process)
		}
		m.volume(wwid).name = "" // what a restart forgets
	}
	m.repair(first)
}

// Of two disks with one identity and different serial numbers, the one in the map is
// the volume, or else the one that came first.
func TestADiskWithAnotherSerialNumberIsATwin(t *testing.T) {
	disk := &answering{answer: wwid}
	c := &Connector{log: slog.New(slog.DiscardHandler), disks: disk}
	for _, test := range []struct {
		name, inMap, first, then string
		twin                     bool
	}{
		{name: "the same", first: "a", then: "a"},
		{name: "another than the first", first: "a", then: "b", twin: true},
		{name: "another than in the map", inMap: "a", then: "b", twin: true},
		{name: "one without any", first: "a", then: ""},
		{name: "the first had none", first: "", then: "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := &volume{}
			now := &view{byNumber: map[[2]uint32]found{{8, 0}: {Disk: block.Disk{Name: "sda", Serial: test.inMap}}}}
			state.probes.learn(now, vol(), dm.Map{Paths: []dm.Path{{Major: 8}}})
			state.probes.unit(test.first)
			disk.deleted = false
			disk.disk = block.Disk{Name: "sdb", LUN: 5, WWID: wwid, Serial: test.then}
			condemned := false
			_, wrong, err := c.examine(t.Context(), state, vol(), openiscsi.Session{ID: 2}, func(error) { condemned = true })
			if condemned != test.twin {
				t.Errorf("condemned at once: %t", condemned)
			}
			r, _ := errors.AsType[*refusal](err)
			if wrong != test.twin || disk.deleted != test.twin || (r != nil && r.twin) != test.twin {
				t.Errorf("wrong %t, removed %t, error %v", wrong, disk.deleted, err)
			}
		})
	}
}

// A detach must not take from another volume what the SAN has given it since.
func TestADetachLeavesADiskThatIsRightlyAnotherVolumes(t *testing.T) {
	for _, test := range []struct {
		name, taken, answer, mapOf string
		removed                    bool
	}{
		{"another's by now, and in its map", other, other, other, false},
		{"in the map of what was there before", other, wwid, other, true},
		{"the volume, in another's map", wwid, wwid, other, true},
		{"no answer", other, "", other, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk := &answering{answer: test.answer}
			c := &Connector{log: slog.New(slog.DiscardHandler), disks: disk}
			d := block.Disk{Name: "sdb", LUN: 5, WWID: test.taken, Map: "dm-7", MapUUID: "mpath-" + test.mapOf}
			disk.disk = d
			if err := c.removeMisused(t.Context(), vol(), openiscsi.Session{ID: 1}, d); err != nil || disk.deleted != test.removed {
				t.Errorf("removed: %t, %v; want %t", disk.deleted, err, test.removed)
			}
		})
	}
}

// Each verdict wakes whoever repairs the volume: a disk in its map that is another's,
// and that another tool holds, must not have itself asked without end.
func TestAStrayThatStaysIsAskedNowAndThen(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.second("LOGGED_IN")
	m.write("devices/platform/host3/session2/target3:0:0/3:0:0:5/block/sdc/holders/dm-7/dm/uuid", "LVM-of-somebody")
	m.has(wwid, "dm-0")
	m.say(pathsOf(`{"dev": "sdb", "dm_st": "active", "chk_st": "ready"}`, `{"dev": "sdc", "dm_st": "active", "chk_st": "ready"}`))
	var asked atomic.Int32
	diskTree(m.Connector).inquire = func(disk string, _ time.Duration) (string, error) {
		if disk == "sdc" {
			asked.Add(1)
			return other, nil
		}
		return wwid, nil
	}
	for range 5 {
		m.repair(vol())
	}
	if n := asked.Load(); n != 1 || m.deleted("sdc") {
		t.Errorf("asked %d times within a moment, removed: %t", n, m.deleted("sdc"))
	}
}

// While no malleed ran, somebody may have had all maps removed and made again.
func TestALinkToANumberThatWasGivenAnewIsNoOwner(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	another := vol()
	another.Name = "vol-5e6f7a8b"
	if err := m.link(another, "dm-0"); err != nil {
		t.Fatal(err)
	}
	if status := m.repair(vol()); !status.Ready || !m.linked(vol(), "dm-0") {
		t.Errorf("the volume was not handed out: %+v", status)
	}
}
