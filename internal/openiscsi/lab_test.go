// SPDX-License-Identifier: Apache-2.0

//go:build lab

package openiscsi_test

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/command"
	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// inMachine is set in the copy of the test that runs in a machine of the lab.
const inMachine = "MALLEE_TEST_IN_MACHINE"

// deadPortal is the one of four that answers nothing.
const deadPortal = "10.107.1.201"

// makeTarget makes a target of four portals that asks for no proof.
const makeTarget = `
tpg=/sys/kernel/config/target/iscsi/` + target + `/tpgt_1
mkdir -p $tpg
for portal in 10.107.1.200 10.107.1.201 10.108.1.200 10.108.1.201; do mkdir $tpg/np/$portal:3260; done
echo 1 > $tpg/attrib/generate_node_acls
echo 0 > $tpg/attrib/authentication
echo 1 > $tpg/enable
`

func TestMain(m *testing.M) {
	// Without root TestLab fails, but what needs none is tested still.
	if os.Getenv(inMachine) == "" {
		if err := lab.Enter(); err != nil {
			log.Print(err)
		}
	}
	os.Exit(m.Run())
}

// TestLabExchanges runs itself once more on a node, beside an iscsid and a SAN.
func TestLabExchanges(t *testing.T) {
	if os.Getenv(inMachine) != "" {
		testExchanges(t)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "openiscsi.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-tags", "lab", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // static: the machine has other libraries
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the test for the machine: %v: %s", err, out)
	}
	l, err := lab.Start(ctx, lab.Options{Topology: lab.Standard(), Binaries: []string{program}, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	san, nc1 := l.Machine("san"), l.Machine("nc1")
	if _, err := san.Run(ctx, "sh", "-ec", makeTarget); err != nil {
		t.Fatal(err)
	}
	if _, err := nc1.Spawn(ctx, "iscsid", "iscsid", "-f"); err != nil {
		t.Fatal(err)
	}
	if err := l.Cut(ctx, deadPortal); err != nil {
		t.Fatal(err)
	}
	result, err := nc1.Exec(ctx, lab.Command{
		Argv: []string{"/usr/local/bin/openiscsi.test", "-test.run", "^TestLabExchanges$", "-test.v"},
		Env:  []string{inMachine + "=1"},
	})
	t.Logf("in the machine:\n%s%s", result.Stdout, result.Stderr)
	if err != nil {
		t.Fatal(err)
	}
}

// testExchanges logs in and out beside a session of somebody else's to the same
// target, and with a portal that does not answer.
func testExchanges(t *testing.T) {
	var processes atomic.Int32
	in := &openiscsi.Initiator{}
	in.Run.Log = slog.New(ended{slog.DiscardHandler, &processes})
	others := command.Runner{}
	for _, args := range [][]string{
		{"-m", "node", "-o", "new", "-T", target, "-p", "10.107.1.200:3260,1", "-I", "default"},
		{"-m", "node", "-T", target, "-I", "default", "--login"},
	} {
		if _, err := others.Run(t.Context(), "iscsiadm", args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.PrepareIface(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := in.WriteRecords(t.Context(), four(), settings, openiscsi.Secret{}); err != nil {
		t.Fatal(err)
	}

	var up []openiscsi.Portal
	for p, err := range logins(t, in, four()...) {
		if p.Addr.Addr().String() == deadPortal != errors.Is(err, openiscsi.ErrTimeout) || err != nil && !errors.Is(err, openiscsi.ErrTimeout) {
			t.Errorf("%s: %v", p, err)
		}
		if err == nil {
			up = append(up, p)
		}
	}
	if n := processes.Swap(0); n != 1 {
		t.Errorf("%d processes logged in, want 1", n)
	}
	// There already; the dead one is not asked for and has no session.
	for p, err := range logins(t, in, up...) {
		if err != nil {
			t.Errorf("%s, again: %v", p, err)
		}
	}

	// Whoever began a login is killed. iscsid goes on with it, and says so.
	dead := portal(deadPortal + ":3260")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	in.Login(ctx, []openiscsi.Portal{dead}, func(_ openiscsi.Portal, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a login that was ended early: %v", err)
		}
	})
	if err := login(t, in, dead); !errors.Is(err, openiscsi.ErrPending) {
		t.Errorf("after it: %v, want that iscsid is at it", err)
	}

	sessions, err := in.Sessions()
	if err != nil || len(sessions) != 3 {
		t.Errorf("sessions %+v, %v, want three", sessions, err)
	}
	for _, s := range sessions {
		if !s.LoggedIn() || !slices.Contains(up, s.Portal) {
			t.Errorf("session %+v", s)
		}
	}
	// One record is gone, which keeps no session.
	if err := in.RemoveRecord(t.Context(), up[0]); err != nil {
		t.Error(err)
	}
	processes.Store(0)
	if errs := in.Logout(t.Context(), sessions); !slices.Equal(errs, make([]error, 3)) {
		t.Errorf("logout: %v", errs)
	}
	if n := processes.Load(); n != 1 {
		t.Errorf("%d processes logged out, want 1", n)
	}
	if sessions, err := in.Sessions(); err != nil || len(sessions) > 0 {
		t.Errorf("sessions of ours %+v, %v", sessions, err)
	}
	left, err := filepath.Glob("/sys/class/iscsi_session/*/ifacename")
	if err != nil || len(left) != 1 {
		t.Fatalf("sessions %q, %v, want the other's alone", left, err)
	}
	iface, err := os.ReadFile(left[0])
	if diff := cmp.Diff("default\n", string(iface)); diff != "" || err != nil {
		t.Errorf("%s: %v (-want +got)\n%s", left[0], err, diff)
	}
}

// ended counts the programs that ended, which a command.Runner logs.
type ended struct {
	slog.Handler
	n *atomic.Int32
}

func (ended) Enabled(context.Context, slog.Level) bool { return true }

func (h ended) Handle(context.Context, slog.Record) error {
	h.n.Add(1)
	return nil
}
