// SPDX-License-Identifier: Apache-2.0

//go:build lab

package dm

import (
	"context"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

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
		{"a suspended map", testSuspended},
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
