// SPDX-License-Identifier: Apache-2.0

//go:build lab

package dm

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func testLife(t *testing.T, s Spec, disk *os.File) {
	content := bytes.Repeat([]byte("a map of two"), 4096)[:4096]
	if _, err := disk.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	d := create(t, s)
	if d.Alias != s.Name || d.UUID != s.UUID || !strings.HasPrefix(d.Name, "dm-") {
		t.Errorf("device %+v of %+v", d, s)
	}
	found, err := ByUUID(s.UUID)
	if err != nil || found.Name != d.Name {
		t.Errorf("by UUID: %+v, %v", found, err)
	}
	read := make([]byte, len(content))
	f, err := os.Open("/dev/" + d.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(read); err != nil || !bytes.Equal(read, content) {
		t.Errorf("the map is not its disks: %q..., %v", read[:16], err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	want := Map{
		Device: d, QueueIfNoPath: true, SizeBytes: s.SizeBytes,
		Paths: []Path{{Major: s.Paths[0].Major, Minor: s.Paths[0].Minor, Active: true}, {Major: s.Paths[1].Major, Minor: s.Paths[1].Minor, Active: true}},
	}
	compare(t, want)
	logLines(t, s)
	remove(t, s.UUID)
	if err := Remove(s.UUID); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := MapByUUID(s.UUID); !errors.Is(err, ErrNotFound) {
		t.Errorf("found when removed: %v", err)
	}
}

func testPaths(t *testing.T, s Spec) {
	create(t, s)
	defer remove(t, s.UUID)
	for _, step := range []struct {
		message string
		want    string
	}{
		{"fail_path " + s.Paths[1].String(), "A0 F1 queues"},
		{"reinstate_path " + s.Paths[1].String(), "A0 A1 queues"},
		{"fail_if_no_path", "A0 A1"},
		{"fail_path " + s.Paths[0].String(), "F1 A1"},
		{"queue_if_no_path", "F1 A1 queues"},
	} {
		if err := Message(s.UUID, step.message); err != nil {
			t.Error(err)
		}
		got, err := MapByUUID(s.UUID)
		if err != nil || state(got) != step.want {
			t.Errorf("after %s: %s, %v; want %s", step.message, state(got), err, step.want)
		}
	}
	logLines(t, s)
	if err := Message(s.UUID, "no_such_message"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("an unknown message: %v", err)
	}
	if err := Message("labpath-none", "fail_if_no_path"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a message to no device: %v", err)
	}
}

func testExists(t *testing.T, s Spec) {
	d := create(t, s)
	defer remove(t, s.UUID)
	renamed, namesake := s, s
	renamed.Name, namesake.UUID = "labother", "labpath-2"
	for _, other := range []struct {
		Spec
		want error
	}{{s, ErrExists}, {renamed, ErrExists}, {namesake, ErrBusy}} {
		if _, err := CreateMultipath(other.Spec); !errors.Is(err, other.want) {
			t.Errorf("%s with %s: %v, want %v", other.Name, other.UUID, err, other.want)
		}
	}
	// The kernel itself lets a path be part of two maps. udev, and so multipathd, must
	// not hear of the one that is not made.
	settle(t)
	before := uevents(t)
	other := Spec{Name: "labother", UUID: "labpath-2", SizeBytes: s.SizeBytes, Paths: s.Paths[1:]}
	if _, err := CreateMultipath(other); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), d.Name) {
		t.Errorf("a path of %s: %v", d.Name, err)
	}
	if after := uevents(t); after != before {
		t.Errorf("a map that was not made is known from uevents %s to %s", before, after)
	}
	m := mapper{ioctl: control(t), sys: t.TempDir()}
	if _, err := m.createMultipath(other); err != nil {
		t.Errorf("the kernel minds a path of two maps, and checkHolders is not needed: %v", err)
	}
	remove(t, other.UUID)
	if found, err := Maps("lab"); err != nil || len(found) != 1 || state(found[0]) != "A0 A0 queues" {
		t.Errorf("maps %+v, %v", found, err)
	}
}

func testInUse(t *testing.T, s Spec) {
	d := create(t, s)
	f, err := os.Open("/dev/" + d.Name)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := ByUUID(s.UUID); err != nil || found.OpenCount < 1 {
		t.Errorf("an open device: %+v, %v", found, err)
	}
	if err := Remove(s.UUID); !errors.Is(err, ErrBusy) {
		t.Errorf("an open device is removed: %v", err)
	}
	if _, err := f.Read(make([]byte, 512)); err != nil {
		t.Errorf("a device whose removal was refused: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	// Had the removal been put off, the device would be gone with the last close.
	if _, err := ByUUID(s.UUID); err != nil {
		t.Error(err)
	}
	remove(t, s.UUID)
}

func testCannotBeMade(t *testing.T, s Spec) {
	large, stray := s, s
	large.SizeBytes *= 2
	stray.Paths = append(slices.Clone(s.Paths), Number{250, 99})
	for _, spec := range []Spec{large, stray} {
		if _, err := CreateMultipath(spec); err == nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrExists) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	f, err := os.OpenFile(deviceFile(s.Paths[1]), os.O_RDONLY|unix.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateMultipath(s); !errors.Is(err, ErrBusy) {
		t.Errorf("a path is opened exclusively: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if left, err := Maps(""); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// And nothing is held: the same map can be made now.
	create(t, s)
	remove(t, s.UUID)
}

// I/O that waits for a path holds up neither a look nor a message.
func testHanging(t *testing.T, s Spec) {
	d := create(t, s)
	f, err := os.Open("/dev/" + d.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Paths {
		if err := Message(s.UUID, "fail_path "+p.String()); err != nil {
			t.Error(err)
		}
	}
	thread, ended := readInBackground(f, s.SizeBytes/2)
	waitForDisk(t, thread)
	if got, err := MapByUUID(s.UUID); err != nil || state(got) != "F1 F1 queues" {
		t.Errorf("a map that hangs: %s, %v", state(got), err)
	}
	if err := Message(s.UUID, "fail_if_no_path"); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, unix.EIO) {
		t.Errorf("a read without a path ends with %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	remove(t, s.UUID)
}

// Nor does a map that has been suspended, with I/O that waits for its end.
func testSuspended(t *testing.T, s Spec) {
	d := create(t, s)
	m := mapper{ioctl: control(t), sys: "/sys"}
	h, err := headerFor(s.UUID)
	if err != nil {
		t.Fatal(err)
	}
	h.flags = flagSuspended | flagNoFlush
	if _, err := m.call(devSuspend, &h, nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/dev/" + d.Name)
	if err != nil {
		t.Fatal(err)
	}
	thread, ended := readInBackground(f, s.SizeBytes/2)
	waitForDisk(t, thread)
	if got, err := MapByUUID(s.UUID); err != nil || !got.Suspended || state(got) != "A0 A0 queues" {
		t.Errorf("a suspended map: %+v, %v", got, err)
	}
	if err := Message(s.UUID, "fail_if_no_path"); !errors.Is(err, unix.EBUSY) {
		t.Errorf("a message to a suspended map: %v", err)
	}
	if h, err = headerFor(s.UUID); err != nil {
		t.Fatal(err)
	}
	if _, err := m.call(devSuspend, &h, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("a read that has waited: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	remove(t, s.UUID)
}

// What a program that was killed half-way leaves can be seen and removed.
func testHalfMade(t *testing.T, s Spec) {
	m := mapper{ioctl: control(t), sys: "/sys"}
	var h header
	copy(h.name[:], s.Name)
	copy(h.uuid[:], s.UUID)
	if _, err := m.call(devCreate, &h, nil); err != nil {
		t.Fatal(err)
	}
	d, err := ByUUID(s.UUID)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, Map{Device: d})
	remove(t, s.UUID)
}
