// SPDX-License-Identifier: Apache-2.0

//go:build lab

package dm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/mallee-io/mallee/internal/lab"
)

// inMachine is set in the copy of the test that runs in a machine of the lab.
const inMachine = "MALLEE_TEST_IN_MACHINE"

func TestMain(m *testing.M) {
	// Without root TestLabMaps fails, but what needs none is tested still.
	if os.Getenv(inMachine) == "" {
		if err := lab.Enter(); err != nil {
			log.Print(err)
		}
	}
	os.Exit(m.Run())
}

// TestLabMaps runs itself once more in a machine that has loop devices for paths.
func TestLabMaps(t *testing.T) {
	if os.Getenv(inMachine) != "" {
		testMaps(t)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "dm.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-tags", "lab", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // static: the machine has other libraries
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the test for the machine: %v: %s", err, out)
	}
	l, err := lab.Start(ctx, lab.Options{
		Topology: lab.Topology{Machines: []lab.MachineSpec{{
			Name: "node", MemoryMB: 256, Modules: []string{"dm_multipath", "dm_service_time", "loop"},
		}}},
		Binaries: []string{program},
		Log:      t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.Tails(t.Output(), 20)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	result, err := l.Machine("node").Exec(ctx, lab.Command{
		Argv: []string{"dm.test", "-test.v", "-test.timeout", "60s", "-test.run", "^TestLabMaps$"},
		Env:  []string{inMachine + "=1"},
	})
	t.Logf("%s", result.Stdout)
	if err != nil {
		t.Fatal(err)
	}
}

const diskBytes = 8 << 20

func testMaps(t *testing.T) {
	s := Spec{Name: "labmap", UUID: "labpath-1", SizeBytes: diskBytes} // multipathd is not to take it for its own
	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Truncate(diskBytes); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.Paths = append(s.Paths, loop(t, disk))
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T, Spec)
	}{
		{"life", func(t *testing.T, s Spec) { testLife(t, s, disk) }},
		{"paths", testPaths},
		{"another was faster", testExists},
		{"in use", testInUse},
		{"cannot be made", testCannotBeMade},
		{"a map that hangs", testHanging},
		{"a half-made map", testHalfMade},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.run(t, s)
			if left, err := Maps(""); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

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
	for _, other := range []Spec{
		s,
		{Name: "labother", UUID: s.UUID, SizeBytes: s.SizeBytes, Paths: s.Paths},
		{Name: s.Name, UUID: "labpath-2", SizeBytes: s.SizeBytes, Paths: s.Paths},
	} {
		if _, err := CreateMultipath(other); !errors.Is(err, ErrExists) {
			t.Errorf("%s with %s: %v", other.Name, other.UUID, err)
		}
	}
	// The kernel itself lets a path be part of two maps.
	other := Spec{Name: "labother", UUID: "labpath-2", SizeBytes: s.SizeBytes, Paths: s.Paths[1:]}
	if _, err := CreateMultipath(other); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), d.Name) {
		t.Errorf("a path of %s: %v", d.Name, err)
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
	thread, ended := make(chan int), make(chan error)
	go func() {
		runtime.LockOSThread()
		thread <- unix.Gettid()
		_, err := f.ReadAt(make([]byte, 4096), int64(s.SizeBytes/2))
		ended <- err
	}()
	waitForDisk(t, <-thread)
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
		if out, err := exec.CommandContext(t.Context(), "udevadm", "settle").CombinedOutput(); err != nil {
			t.Fatalf("udevadm settle: %v: %s", err, out)
		}
	}
	if err != nil {
		t.Error(err)
	}
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
