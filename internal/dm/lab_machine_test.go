// SPDX-License-Identifier: Apache-2.0

//go:build lab

package dm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func create(t *testing.T, s Spec) Device {
	t.Helper()
	d, err := CreateMultipath(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// remove waits for udev's programs, which have a device open after it has changed.
func remove(t *testing.T, uuid string) {
	t.Helper()
	err := Remove(uuid)
	for ; errors.Is(err, ErrBusy); err = Remove(uuid) {
		settle(t)
	}
	if err != nil {
		t.Error(err)
	}
}

// settle waits until udev has done with all events.
func settle(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "udevadm", "settle").CombinedOutput(); err != nil {
		t.Fatalf("udevadm settle: %v: %s", err, out)
	}
}

// uevents is the number of the kernel's last uevent.
func uevents(t *testing.T) string {
	t.Helper()
	number, err := os.ReadFile("/sys/kernel/uevent_seqnum")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(number))
}

// compare looks for a map by its UUID, and among all. udev may have it open.
func compare(t *testing.T, want Map) {
	t.Helper()
	got, err := MapByUUID(want.UUID)
	got.OpenCount = want.OpenCount
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("map: %v (-want +got):\n%s", err, diff)
	}
	all, err := Maps("labpath-")
	if err != nil || len(all) != 1 {
		t.Fatalf("maps: %+v, %v", all, err)
	}
	all[0].OpenCount = want.OpenCount
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Errorf("map among all (-want +got):\n%s", diff)
	}
}

// state tells the paths of a map, as "A0 F1 queues".
func state(m Map) string {
	var words []string
	for _, p := range m.Paths {
		letter := "F"
		if p.Active {
			letter = "A"
		}
		words = append(words, fmt.Sprint(letter, p.Fails))
	}
	if m.QueueIfNoPath {
		words = append(words, "queues")
	}
	return strings.Join(words, " ")
}

// logLines shows what the kernel says, for the seeds of the parsers' tests.
func logLines(t *testing.T, s Spec) {
	m := mapper{ioctl: control(t), sys: "/sys"}
	for _, flags := range []uint32{0, flagStatusTable} {
		_, line, err := m.target(s.UUID, flags)
		t.Logf("%q %v", line.text, err)
	}
}

func control(t *testing.T) func(command, []byte) error {
	t.Helper()
	fd, err := unix.Open(controlFile, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return ioctlOn(fd)
}

// loop returns a device that is the file. Two of one file are two paths to it.
func loop(t *testing.T, file *os.File) Number {
	t.Helper()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		t.Fatal(err)
	}
	device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_FD, int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(device.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return Number{unix.Major(stat.Rdev), unix.Minor(stat.Rdev)}
}

// deviceFile is the file of one of the first loop devices, whose number is its minor.
func deviceFile(n Number) string { return fmt.Sprintf("/dev/loop%d", n.Minor) }

// readInBackground reads on a thread of its own. The channel tells how it ends.
func readInBackground(f *os.File, offset uint64) (thread int, ended <-chan error) {
	started, done := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		started <- unix.Gettid()
		_, err := f.ReadAt(make([]byte, 4096), int64(offset))
		done <- err
	}()
	return <-started, done
}

// waitForDisk waits until a thread of ours waits for a disk: it cannot then be
// interrupted (proc(5), state D).
func waitForDisk(t *testing.T, thread int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stat, []byte(") D ")) {
			return
		}
		<-tick.C
	}
}
