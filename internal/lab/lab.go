// SPDX-License-Identifier: Apache-2.0

// Package lab boots the machines of a small SAN on one Linux machine, for the
// demo and for end-to-end tests: storage processors and nodes with a kernel of
// their own (iSCSI, dm-multipath, LIO), joined by bridges whose paths can be
// cut.
//
// A machine has a name, disks that outlive its reboots, and NICs; its root
// file system is forgotten when it stops. A bridge is one Ethernet. Each
// address of a machine has a NIC and a tap of its own, and so can be cut by
// itself: no packet passes, and nobody sees a link event. The agent of a
// machine runs commands in it for the host, over a control network that is
// never cut. The run directory holds disks, consoles and logs.
//
// What a machine runs on is the backend, which LAB_BACKEND in the environment
// chooses: uml, user-mode-linux, is the default and the quick one; qemu runs
// Debian's own kernel, which has all that UML's lacks (ALUA, INET_DIAG_DESTROY,
// more than one CPU), on an emulated PC at a tenth of the speed, or with KVM when
// LAB_KVM is 1. Machines, disks, networks and faults are the same on both; only
// Machine.Disk tells them apart.
//
// All of it lives in namespaces which Enter makes, and ends with them:
//
//	func TestMain(m *testing.M) {
//		if err := lab.Enter(); err != nil {
//			log.Fatal(err)
//		}
//		os.Exit(m.Run())
//	}
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Options says what lab to start.
type Options struct {
	Topology Topology  // the zero value is Standard
	Packages []string  // Debian's packages in each machine beyond the usual, as given to Enter
	Binaries []string  // files of the host to put into /usr/local/bin of each machine; static
	Log      io.Writer // progress, and consoles when a boot fails; nil is os.Stderr
	RunDir   string    // empty directory to use; "" is one in the cache, which the next lab empties
	Init     string    // static mallee-lab executable; "" has it built, with go, from this module
}

// Lab is a running lab. Its methods may be called concurrently.
type Lab struct {
	RunDir   string
	topology Topology
	backend  backend
	machines []*Machine
}

// Start boots all machines and returns when their agents answer. The process
// must have called Enter. When ctx ends early, so does the boot.
func Start(ctx context.Context, o Options) (*Lab, error) {
	if !inside() {
		return nil, errors.New("cannot start the lab: Enter was not called")
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if o.Topology.Machines == nil {
		o.Topology = Standard()
	}
	if err := o.Topology.check(); err != nil {
		return nil, err
	}
	b, err := chosenBackend()
	if err != nil {
		return nil, err
	}
	dir, err := prepareRunDir(ctx, o, b)
	if err != nil {
		return nil, fmt.Errorf("cannot prepare the run directory: %w", err)
	}
	l := newLab(dir, o.Topology, b)
	if err := l.start(ctx); err != nil {
		l.Tails(o.Log, 30)
		_ = l.Close() // what was not made cannot be taken down
		return nil, err
	}
	return l, nil
}

func newLab(dir string, t Topology, b backend) *Lab {
	l := &Lab{RunDir: dir, topology: t, backend: b}
	for i, spec := range t.Machines {
		l.machines = append(l.machines, newMachine(dir, spec, controlAddress(i), b))
	}
	return l
}

func (l *Lab) start(ctx context.Context) error {
	// UML keeps a machine's memory in a file that it maps, executable too; with QEMU
	// this stays empty.
	// The host's /tmp may be noexec or a disk, and its /dev/shm small.
	var megabytes int
	for _, m := range l.machines {
		megabytes += m.Spec.MemoryMB + 16
	}
	size := fmt.Sprintf("size=%dm", megabytes)
	if err := unix.Mount("none", memoryDir(l.RunDir), "tmpfs", 0, size); err != nil {
		return fmt.Errorf("cannot mount a tmpfs for the machines' memory: %w", err)
	}
	if err := makeDisks(l.RunDir, l.topology.Machines); err != nil {
		return fmt.Errorf("cannot make the machines' disks: %w", err)
	}
	if err := ipBatch(ctx, hostNetwork(l.topology)); err != nil {
		return err
	}
	if err := saveState(state{Program: filepath.Base(os.Args[0]), Backend: l.backend.traits().name, RunDir: l.RunDir, Topology: l.topology}); err != nil {
		return err
	}
	boots, ctx := errgroup.WithContext(ctx)
	for _, m := range l.machines {
		boots.Go(func() error { return m.Start(ctx) })
	}
	return boots.Wait()
}

// Close kills all machines and takes the network down. The run directory
// stays, so that consoles and logs can be read.
func (l *Lab) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	for _, m := range l.machines {
		errs = append(errs, m.Kill(ctx))
	}
	// Each is tried, whatever became of the others.
	errs = append(errs,
		ipBatch(ctx, hostNetworkDown(l.topology)),
		unix.Unmount(memoryDir(l.RunDir), unix.MNT_DETACH),
		unmountDisks(l.RunDir),
		removeState())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot close the lab: %w", err)
	}
	return nil
}

// Machine returns a machine by name, or nil.
func (l *Lab) Machine(name string) *Machine {
	for _, m := range l.machines {
		if m.Spec.Name == name {
			return m
		}
	}
	return nil
}

// Backend returns the name of what the machines run on: uml or qemu.
func (l *Lab) Backend() string { return l.backend.traits().name }

// Machines returns all machines, in the order of the topology.
func (l *Lab) Machines() []*Machine { return l.machines }

// Tails prints the last lines of each machine's console, and what hangs in its
// kernel.
func (l *Lab) Tails(w io.Writer, lines int) {
	for _, m := range l.machines {
		fmt.Fprintf(w, "==> requests in flight and blocked tasks of %s\n%s\n", m.Spec.Name, m.blocked())
		text, err := os.ReadFile(m.ConsolePath())
		if err != nil {
			fmt.Fprintf(w, "==> console of %s: %v\n", m.Spec.Name, err)
			continue
		}
		fmt.Fprintf(w, "==> console of %s (%s)\n%s\n", m.Spec.Name, m.ConsolePath(), tail(string(text), lines))
	}
}

// blocked tells the requests in flight on a machine's disks, reads and writes, and
// the stacks of tasks that cannot be interrupted (Documentation/admin-guide/sysrq.rst
// of Linux, "w"), as far as the machine still answers.
func (m *Machine) blocked() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	result, err := m.Run(ctx, "sh", "-c", "grep . /sys/block/*/inflight; dmesg -C; echo w >/proc/sysrq-trigger; dmesg")
	if err != nil {
		return err.Error()
	}
	return strings.TrimRight(result.Stdout, "\n")
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func memoryDir(runDir string) string { return filepath.Join(runDir, "memory") }
