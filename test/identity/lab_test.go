// SPDX-License-Identifier: Apache-2.0

//go:build lab

package identity

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/test/hands"
	"github.com/mallee-io/mallee/test/target"
)

func TestMain(m *testing.M) {
	if err := lab.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// The targets of the array. On the second no volume is attached between two tests.
const (
	iqn    = "iqn.2025-01.io.mallee.lab:array"
	second = "iqn.2025-01.io.mallee.lab:second"
)

// portals are those of the array. Each has a portal group of its own, tag 1 the first,
// so that what one path leads to can be changed alone.
var portals = []string{"10.107.1.200:3260", "10.107.1.201:3260", "10.108.1.200:3260", "10.108.1.201:3260"}

var tags = []uint16{1, 2, 3, 4}

// world is an array and a node that the tests share, one after the other.
type world struct {
	lab      *lab.Lab
	nc1      *lab.Machine
	san      target.SAN
	node     *hands.Hands
	reader   *hands.Hands
	made     int
	anchor   hands.Volume // stays attached, so that each test begins with sessions
	stranger string       // what the machine has that is not the connector's
}

// TestLabIdentity runs all tests of the package against one array. Each has LUNs of its
// own, and leaves the array and the node without them.
func TestLabIdentity(t *testing.T) {
	w := start(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"a LUN with the wrong WWID at attach is refused and named, the other paths are used", testWrongAtAttach},
		{"a LUN number is reused while the disk of the former volume is there", testReused},
		{"a path is remapped under an attached volume", testRemapOne},
		{"all paths are remapped under an attached volume", testRemapAll},
		{"two LUNs with one WWID", testTwins},
		{"another tool's map holds a path", testForeignMap},
		{"LUNs beyond 255", testHighLUN},
		{"a LUN hangs", testHung},
		{"a LUN is swapped while its path is down", testSwapWhileDown},
		{"a device in use is not detached, and its user is named", testInUse},
		{"detach twice, of what is half attached, with paths down, with the SAN gone", testDetach},
		{"what is not the connector's was left as it is", testStranger},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, w) })
	}
}

func start(t *testing.T) *world {
	t.Helper()
	inside := filepath.Join(t.TempDir(), hands.Program)
	must(t, hands.Build(t.Context(), inside))
	l, err := lab.Start(t.Context(), lab.Options{Binaries: []string{inside}, Log: os.Stderr})
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{lab: l, nc1: l.Machine("nc1")}
	log, err := os.Create(filepath.Join(l.RunDir, "node.log"))
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			fmt.Fprintf(os.Stderr, "==> log of the node\n%s\n", lastLines(string(text), 100))
		}
	})
	w.san = target.Start(l.Machine("san"), os.Stderr)
	w.node, err = hands.StartNode(patience(t, time.Minute), w.nc1, log)
	must(t, err)
	w.reader = hands.Start(w.nc1, "reader", os.Stderr)
	t.Cleanup(func() {
		w.reader.Close()
		w.node.Close()
		w.san.Close()
	})
	for i, p := range portals {
		for _, iqn := range []string{iqn, second} {
			must(t, w.san.Open(t.Context(), target.TPG{IQN: iqn, Tag: tags[i], Portals: []netip.AddrPort{netip.MustParseAddrPort(p)}}))
		}
	}
	b := w.backstore(t, "anchor")
	must(t, w.san.Map(t.Context(), b.Name, seats(0, tags...)...))
	w.anchor = volume(b, 0)
	w.attach(t, w.anchor)
	w.arrive(t)
	return w
}

// backstore makes a backstore whose blocks hold its name, and which looks like one of
// the product's volumes.
func (w *world) backstore(t *testing.T, name string, change ...func(*target.Backstore)) target.Backstore {
	t.Helper()
	w.made++
	b := target.Backstore{Name: name, SizeBytes: 16 << 20, Serial: target.Serial(w.made), Text: name}
	for _, c := range change {
		c(&b)
	}
	must(t, w.san.Make(t.Context(), b))
	return b
}

func slow(b *target.Backstore) { b.Slow = true }

// seats are a LUN as the portal groups with these tags show it.
func seats(lun uint16, tags ...uint16) []target.Seat {
	var list []target.Seat
	for _, tag := range tags {
		list = append(list, target.Seat{IQN: iqn, Tag: tag, LUN: lun})
	}
	return list
}

// volume is a backstore as the node is told of it.
func volume(b target.Backstore, lun uint16) hands.Volume {
	v := connector.Volume{Name: "vol-" + b.Name, WWID: b.WWID(), Target: iqn, LUN: lun}
	for i, p := range portals {
		v.Portals = append(v.Portals, connector.Portal{Addr: netip.MustParseAddrPort(p), TPGT: tags[i]})
	}
	return hands.Volume{Volume: v}
}

// attach attaches v and waits for all its paths.
func (w *world) attach(t *testing.T, v hands.Volume) connector.Status {
	t.Helper()
	var r hands.Attached
	must(t, w.node.Call(patience(t, time.Minute), hands.OpAttach, hands.Attach{Volumes: []hands.Volume{v}, Complete: true}, &r))
	return r.Status[0]
}

// keep repairs v until ok says so.
func (w *world) keep(t *testing.T, v hands.Volume, ok func(connector.Status) bool) connector.Status {
	t.Helper()
	ctx := patience(t, 50*time.Second)
	var status connector.Status
	for {
		err := w.node.Call(ctx, hands.OpRepair, v, &status)
		if err == nil && ok(status) {
			return status
		}
		if ctx.Err() != nil {
			t.Fatalf("%s does not become as it should be: %v, %v", v.Name, err, describe(status))
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond): // what happens in a machine sends no event to the host
		}
	}
}

func (w *world) detach(t *testing.T, v hands.Volume) {
	t.Helper()
	must(t, w.node.Call(patience(t, time.Minute), hands.OpDetach, []hands.Volume{v}, nil))
}

// content returns the text at the beginning of a device.
func (w *world) content(t *testing.T, device string) string {
	t.Helper()
	var text string
	must(t, w.reader.Call(patience(t, 20*time.Second), hands.OpText, device, &text))
	return text
}

func describe(s connector.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ready %t, device %q, map %q", s.Ready, s.Device, s.Map)
	for _, p := range s.Paths {
		fmt.Fprintf(&b, "; %s %s %s %s", p.Portal, p.State, p.Disk, p.Reason)
	}
	return b.String()
}

// patience returns a context for one step of a test.
func patience(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
