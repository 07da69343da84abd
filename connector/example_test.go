// SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/mallee-io/mallee/connector"
)

// plugin is the part of a CSI driver that runs on each node, as far as block devices
// go. It has no state of its own: what it is asked for again, it finds.
type plugin struct {
	log       *slog.Logger
	connector *connector.Connector
}

// stage is NodeStageVolume: it returns the device of a volume that the driver's
// controller has exported to this node, as soon as the device can be used. Context
// carries CSI's deadline.
func (p plugin) stage(ctx context.Context, v connector.Volume) (device string, err error) {
	status, err := p.connector.Attach(ctx, v)
	if err != nil {
		return "", err // says of each path why it is not up; CSI calls again
	}
	return status.Device, nil
}

// unstage is NodeUnstageVolume. It is called again until it succeeds.
func (p plugin) unstage(ctx context.Context, v connector.Volume) error {
	err := p.connector.Detach(ctx, v)
	if lost, ok := errors.AsType[*connector.LostWritesError](err); ok {
		// The volume is gone from this node; somebody must know at what price.
		p.log.ErrorContext(ctx, "volume detached", "volume_id", v.Name, "error", lost, "flush", lost.Err)
		return nil
	}
	return err // an *InUseError names who has the device open
}

// keep completes the paths of a volume that is staged and repairs them, until ctx
// ends, and tells how they are. Attach returns at the first path: this is what brings
// the others. One goroutine for each staged volume.
func (p plugin) keep(ctx context.Context, v connector.Volume, tell func(connector.Status, error)) {
	for ctx.Err() == nil {
		changed := p.connector.Changed(v.WWID) // before the look: nothing is missed between
		tell(p.connector.Repair(ctx, v))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(5 * time.Second):
		}
	}
}

// What a CSI driver's node plugin does with a volume, from its start to its end.
func Example_nodePlugin() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	p := plugin{log, connector.New(connector.Options{Log: log, Directory: "/dev/example"})}
	go func() {
		if err := p.connector.Run(ctx); err != nil {
			log.Error("cannot watch the kernel", "error", err)
		}
	}()

	// What the controller tells in CSI's publish context.
	v := connector.Volume{
		Name:   "pvc-6e0f1c1b",
		WWID:   "36001405a1b2c3d4e5f60718293a4b5c6",
		Target: "iqn.2003-01.org.example:array",
		LUN:    7,
		CHAP:   connector.CHAP{Username: "node-1", Password: os.Getenv("CHAP_SECRET")},
		Portals: []connector.Portal{
			{Addr: netip.MustParseAddrPort("192.0.2.10:3260"), TPGT: 1},
			{Addr: netip.MustParseAddrPort("198.51.100.10:3260"), TPGT: 2},
		},
	}
	staging, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	device, err := p.stage(staging, v)
	if err != nil {
		log.Error("cannot stage the volume", "error", err)
		return
	}
	log.Info("volume staged", "device", device)

	kept, release := context.WithCancel(context.Background())
	var keeper sync.WaitGroup
	keeper.Go(func() {
		p.keep(kept, v, func(s connector.Status, err error) {
			log.Info("paths", "up", s.Up(), "of", len(v.Portals), "error", err)
		})
	})
	<-ctx.Done()
	release()
	keeper.Wait() // first: Repair would bring back what Detach takes away

	unstaging, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := p.unstage(unstaging, v); err != nil {
		log.Error("cannot unstage the volume", "error", err)
	}
}

// Input that cannot be right is refused before anything is done.
func ExampleConnector_Attach() {
	c := connector.New(connector.Options{})
	_, err := c.Attach(context.Background(), connector.Volume{Name: "pvc-1", WWID: "naa.6001405"})
	fmt.Println(err)
	// Output: "naa.6001405" is no WWID: it must be 3 and the digits of an NAA designator
}

// Every expected path is accounted for, with the reason why it is not up.
func ExampleStatus() {
	s := connector.Status{Ready: true, Device: "/dev/example/pvc-1", Paths: []connector.Path{
		{Portal: netip.MustParseAddrPort("192.0.2.10:3260"), State: connector.PathUp, Disk: "sdb"},
		{
			Portal: netip.MustParseAddrPort("198.51.100.10:3260"), State: connector.PathQuarantined,
			Reason: "LUN 7 has identity 36001405ffff, not 36001405aaaa",
		},
	}}
	fmt.Println(s.Device, "has", s.Up(), "of", len(s.Paths), "paths")
	for _, p := range s.Paths {
		if p.State == connector.PathQuarantined {
			fmt.Println(p.Portal, "is not used:", p.Reason)
		}
	}
	// Output:
	// /dev/example/pvc-1 has 1 of 2 paths
	// 198.51.100.10:3260 is not used: LUN 7 has identity 36001405ffff, not 36001405aaaa
}

// Who has the device open is named, so that a person can do something about it.
func ExampleInUseError() {
	err := fmt.Errorf("cannot detach pvc-1: %w", &connector.InUseError{
		Device: "/dev/example/pvc-1", Users: []string{"mount /var/lib/db", "process 812 (fio)"},
	})
	if inUse, ok := errors.AsType[*connector.InUseError](err); ok {
		for _, user := range inUse.Users {
			fmt.Println("close it first:", user)
		}
	}
	// Output:
	// close it first: mount /var/lib/db
	// close it first: process 812 (fio)
}

// However a secret is printed or logged, it does not show.
func ExampleCHAP() {
	chap := connector.CHAP{Username: "node-1", Password: "do not tell"}
	fmt.Printf("%v, %+v, %q\n", chap, chap, chap)
	// Output: node-1, node-1, node-1
}
