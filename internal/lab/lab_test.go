// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/internal/lab"
)

func TestMain(m *testing.M) {
	// Without root TestLab fails, but what needs none is tested still.
	if err := lab.Enter(); err != nil {
		log.Print(err)
	}
	os.Exit(m.Run())
}

var portals = []string{"10.107.1.200", "10.107.1.201", "10.108.1.200", "10.108.1.201"}

var portals6 = []string{"fd00:10:106::200", "fd00:10:106::201"}

// TestLab boots the widest lab once: booting is what takes time.
func TestLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	began := time.Now()
	topology := lab.Wide(1)
	topology.Machines[1].CPUs = 2
	l, err := lab.Start(ctx, lab.Options{Topology: topology, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("booted in %v", time.Since(began))
	t.Cleanup(func() {
		if t.Failed() {
			l.Tails(t.Output(), 20)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	san, nc1 := l.Machine("san"), l.Machine("nc1")
	t.Run("exec", func(t *testing.T) { testExec(ctx, t, nc1) })
	t.Run("services", func(t *testing.T) { testServices(ctx, t, nc1) })
	t.Run("paths", func(t *testing.T) { testPaths(ctx, t, l, nc1) })
	t.Run("paths over IPv6", func(t *testing.T) { testPaths6(ctx, t, l, nc1) })
	t.Run("iscsi", func(t *testing.T) { testISCSI(ctx, t, l, san, nc1) })
	t.Run("power cycle", func(t *testing.T) { testPowerCycle(ctx, t, l, san, nc1) })
}

func testExec(ctx context.Context, t *testing.T, m *lab.Machine) {
	result, err := m.RunInput(ctx, []byte("in"), "sh", "-c", "cat; echo err >&2; exit 3")
	want := lab.Result{Stdout: "in", Stderr: "err\n", ExitCode: 3}
	if diff := cmp.Diff(want, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	var exit *lab.ExitError
	if !errors.As(err, &exit) {
		t.Errorf("error is %v, want an ExitError", err)
	}
	result, err = m.Exec(ctx, lab.Command{Argv: []string{"sh", "-c", "echo $A $PWD"}, Env: []string{"A=b"}, Dir: "/etc"})
	if err != nil || result.Stdout != "b /etc\n" {
		t.Errorf("env and dir: %q, %v", result.Stdout, err)
	}
	if _, err := m.Run(ctx, "no-such-program"); err == nil || errors.As(err, &exit) {
		t.Errorf("a missing program gives %v", err)
	}

	if err := m.WriteFile(ctx, "/tmp/a/b", []byte("text"), 0o600); err != nil {
		t.Error(err)
	}
	if text, err := m.ReadFile(ctx, "/tmp/a/b"); err != nil || string(text) != "text" {
		t.Errorf("file holds %q, %v", text, err)
	}

	// The child, too, is gone when the context ends.
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := m.Run(short, "sh", "-c", "sleep 987 & sleep 987"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a late command gives %v", err)
	}
	waitFor(ctx, t, "the late command's death", func() bool {
		_, err := m.Run(ctx, "pgrep", "-f", "sleep 987")
		return errors.As(err, &exit)
	})
}

func testServices(ctx context.Context, t *testing.T, m *lab.Machine) {
	p, err := m.Spawn(ctx, "talker", "sh", "-c", "echo hello; sleep 986; exit 5")
	if err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, "its log", func() bool {
		text, err := p.Log(ctx)
		return err == nil && text == "hello\n"
	})
	if err := p.Kill(ctx); err != nil {
		t.Error(err)
	}
	if code, err := p.Wait(ctx); err != nil || code != 128+9 {
		t.Errorf("killed service: code %d, %v", code, err)
	}
}

// reachable lists the addresses that answer a node's pings.
func reachable(ctx context.Context, t *testing.T, from *lab.Machine, addresses []string) []string {
	t.Helper()
	var found []string
	for _, a := range addresses {
		_, err := from.Run(ctx, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "0.3", a)
		var exit *lab.ExitError
		switch {
		case err == nil:
			found = append(found, a)
		case !errors.As(err, &exit):
			t.Fatal(err)
		}
	}
	return found
}

func testPaths(ctx context.Context, t *testing.T, l *lab.Lab, nc1 *lab.Machine) {
	expect := func(when string, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, reachable(ctx, t, nc1, portals)); diff != "" {
			t.Errorf("reachable %s (-want +got):\n%s", when, diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", portals)
	for i, cut := range portals {
		must(l.Cut(ctx, cut))
		expect("with "+cut+" cut", slices.Delete(slices.Clone(portals), i, i+1))
		must(l.Heal(ctx, cut))
	}
	expect("after healing", portals)
	must(l.CutFabric(ctx, "fab1"))
	expect("with fab1 cut", portals[2:])
	must(l.HealFabric(ctx, "fab1"))
	must(nc1.LinkDown(ctx, "10.108.1.101"))
	expect("with a link down", portals[:2])
	must(nc1.LinkUp(ctx, "10.108.1.101"))
	expect("at last", portals)
	if err := l.Cut(ctx, "10.107.1.99"); err == nil {
		t.Error("an unknown address was cut")
	}
}

func testPaths6(ctx context.Context, t *testing.T, l *lab.Lab, nc1 *lab.Machine) {
	expect := func(when string, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, reachable(ctx, t, nc1, portals6)); diff != "" {
			t.Errorf("reachable %s (-want +got):\n%s", when, diff)
		}
	}
	expect("at first", portals6)
	if err := l.Cut(ctx, portals6[0]); err != nil {
		t.Fatal(err)
	}
	expect("with one cut", portals6[1:])
	if err := l.CutFabric(ctx, "fab6"); err != nil {
		t.Fatal(err)
	}
	expect("with the fabric cut", nil)
	if err := l.HealFabric(ctx, "fab6"); err != nil {
		t.Fatal(err)
	}
	expect("after healing", portals6)
}

func testPowerCycle(ctx context.Context, t *testing.T, l *lab.Lab, san, nc1 *lab.Machine) {
	mark := []byte("still here")
	if _, err := san.RunInput(ctx, mark, "dd", "of="+san.Disk(0), "oflag=direct,sync", "conv=sync", "bs=4k"); err != nil {
		t.Fatal(err)
	}
	if err := san.WriteFile(ctx, "/etc/leftover", mark, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Cut(ctx, portals[0]); err != nil {
		t.Fatal(err)
	}
	running := make(chan error, 1)
	go func() {
		_, err := san.Run(ctx, "sleep", "985")
		running <- err
	}()
	if err := san.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-running; err == nil || !strings.Contains(err.Error(), "down") {
		t.Errorf("a command on a machine that died gives %v", err)
	}
	if got := reachable(ctx, t, nc1, portals); len(got) > 0 {
		t.Errorf("%v answer while the machine is off", got)
	}
	began := time.Now()
	if err := san.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("booted again in %v", time.Since(began))
	result, err := san.Run(ctx, "head", "-c", fmt.Sprint(len(mark)), san.Disk(0))
	if err != nil || result.Stdout != string(mark) {
		t.Errorf("the disk holds %q, %v", result.Stdout, err)
	}
	if _, err := san.ReadFile(ctx, "/etc/leftover"); err == nil {
		t.Error("the root file system outlived the power cycle")
	}
	if diff := cmp.Diff(portals[1:], reachable(ctx, t, nc1, portals)); diff != "" {
		t.Errorf("the cut before the power cycle (-want +got):\n%s", diff)
	}
	if err := l.Heal(ctx, portals[0]); err != nil {
		t.Fatal(err)
	}
}

// waitFor polls: what happens in a machine sends no event to the host.
func waitFor(ctx context.Context, t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still no sign of %s", what)
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}
