// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "embed"

	"github.com/mallee-io/mallee/connector"
	"github.com/mallee-io/mallee/internal/lab"
	"github.com/mallee-io/mallee/test/hands"
	"github.com/mallee-io/mallee/test/target"
)

// options of a run.
type options struct {
	only    string
	n       int // samples of ours
	peer    int // samples of os-brick
	verbose bool
	log     io.Writer
}

func (o options) say(begin time.Time, format string, args ...any) {
	fmt.Fprintf(o.log, "[%4.0fs] %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
}

// contest takes the samples of some rows.
type contest struct {
	name string
	run  func(context.Context, *stage) error
	rows []string
}

// stage is a SAN and a node with ours and os-brick on it.
type stage struct {
	options
	lab     *lab.Lab
	machine string // what it all runs on, for a reader
	san     target.SAN
	nc1     *lab.Machine
	node    *hands.Hands
	brick   *hands.Hands
	nodeLog *os.File // what the connector and os-brick say
	samples samples
}

// portals are those of the SAN, of alternating fabrics: two of them are one of each.
var portals = []string{"10.107.1.200:3260", "10.108.1.200:3260", "10.107.1.201:3260", "10.108.1.201:3260"}

const (
	ourTarget   = "iqn.2026-11.io.mallee:bench"
	brickTarget = "iqn.2003-01.org.linux-iscsi:bench"
	// volumes is how many LUNs our target has, from 0 on; the one after them hangs
	// when it is told to.
	volumes = 256
	slow    = volumes
	// brickVolumes is how many LUNs os-brick's target has. They are of LIO's own
	// vendor, so that neither our udev rules nor our settings of multipathd are for them.
	brickVolumes = 32

	volumeSize = 16 << 20
)

//go:embed osbrick.py
var osbrickPy []byte

func newStage(ctx context.Context, o options) (s *stage, err error) {
	dir, err := os.MkdirTemp("", "mallee-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	inside := filepath.Join(dir, hands.Program)
	if err := hands.Build(ctx, inside); err != nil {
		return nil, err
	}
	topology := lab.Standard()
	for i := range topology.Machines {
		topology.Machines[i].MemoryMB = 3072 // a thousand disks, and multipathd with as many paths
	}
	s = &stage{options: o, samples: samples{}}
	s.lab, err = lab.Start(ctx, lab.Options{Topology: topology, Packages: packages, Binaries: []string{inside, "build/malleed"}, Log: o.log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.tails()
			s.close()
		}
	}()
	s.nc1 = s.lab.Machine("nc1")
	if s.machine, err = describe(ctx, s.lab, s.nc1); err != nil {
		return s, err
	}
	if err := s.makeSAN(ctx); err != nil {
		return s, err
	}
	if err := s.startNode(ctx); err != nil {
		return s, err
	}
	return s, nil
}

func (s *stage) makeSAN(ctx context.Context) error {
	s.san = target.Start(s.lab.Machine("san"), os.Stderr)
	var addresses []netip.AddrPort
	for _, p := range portals {
		addresses = append(addresses, netip.MustParseAddrPort(p))
	}
	for _, iqn := range []string{ourTarget, brickTarget} {
		if err := s.san.Open(ctx, target.TPG{IQN: iqn, Tag: 1, Portals: addresses}); err != nil {
			return err
		}
	}
	var list []target.Backstore
	for lun := range volumes {
		list = append(list, target.Backstore{Name: fmt.Sprintf("v%d", lun), SizeBytes: volumeSize, Serial: target.Serial(lun)})
	}
	list = append(list, target.Backstore{Name: "slow", SizeBytes: volumeSize, Serial: target.Serial(slow), Slow: true})
	for lun := range brickVolumes {
		list = append(list, target.Backstore{
			Name: fmt.Sprintf("b%d", lun), SizeBytes: volumeSize, Serial: brickSerial(lun), Vendor: "LIO-ORG", Product: "bench",
		})
	}
	if err := s.san.Make(ctx, list...); err != nil {
		return err
	}
	for i, b := range list {
		seat := target.Seat{IQN: ourTarget, Tag: 1, LUN: uint16(i)}
		if i > slow {
			seat = target.Seat{IQN: brickTarget, Tag: 1, LUN: uint16(i - slow - 1)}
		}
		if err := s.san.Map(ctx, b.Name, seat); err != nil {
			return err
		}
	}
	return nil
}

func brickSerial(lun int) string { return fmt.Sprintf("6272636bfffffffff%08x0000000", lun) }

// startNode starts ours and os-brick in nc1.
func (s *stage) startNode(ctx context.Context) (err error) {
	if s.nodeLog, err = os.Create(filepath.Join(s.lab.RunDir, "node.log")); err != nil {
		return err
	}
	if s.node, err = hands.StartNode(ctx, s.nc1, s.nodeLog); err != nil {
		return err
	}
	const script = "/run/osbrick.py"
	if err := s.nc1.WriteFile(ctx, script, osbrickPy, 0o644); err != nil {
		return err
	}
	s.brick = hands.StartProgram(s.nc1, s.nodeLog, "python3", script)
	return nil
}

// close takes the machines down first: a call that is under way ends with them, and
// not before os-brick does.
func (s *stage) close() {
	if err := s.lab.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	for _, h := range []*hands.Hands{s.brick, s.node} {
		if h != nil {
			h.Close()
		}
	}
	if s.nodeLog != nil {
		_ = s.nodeLog.Close()
	}
}

// tails prints what tells why a step failed.
func (s *stage) tails() {
	s.lab.Tails(s.log, 20)
	if s.nodeLog == nil {
		return
	}
	text, err := os.ReadFile(s.nodeLog.Name())
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	fmt.Fprintf(s.log, "==> node\n%s\n", strings.Join(lines[max(0, len(lines)-40):], "\n"))
}

// settle waits until udev is through with what the last step has made, so that no
// sample pays for another.
func (s *stage) settle(ctx context.Context) error {
	_, err := s.nc1.Run(ctx, "udevadm", "settle", "--timeout=60")
	return err
}

// volume is a LUN of our target over the first so many portals.
func volume(lun, paths int) hands.Volume {
	v := connector.Volume{
		Name: fmt.Sprintf("vol-%08x", lun), Target: ourTarget, LUN: uint16(lun),
		WWID: target.Backstore{Serial: target.Serial(lun)}.WWID(),
	}
	for _, p := range portals[:paths] {
		v.Portals = append(v.Portals, connector.Portal{Addr: netip.MustParseAddrPort(p), TPGT: 1})
	}
	return hands.Volume{Volume: v}
}

// brickVolume is a LUN of os-brick's target, as osbrick.py takes it.
type brickVolume struct {
	Target  string
	Portals []string
	LUN     int
	WWID    string
}

func newBrickVolume(lun, paths int) brickVolume {
	return brickVolume{
		Target: brickTarget, Portals: portals[:paths], LUN: lun,
		WWID: target.Backstore{Serial: brickSerial(lun)}.WWID(),
	}
}
