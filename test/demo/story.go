// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mallee-io/mallee/test/scenario"
)

const sizeGiB = "1"

// pathsTimeout bounds the waits for paths to die or to come back. iscsid, left
// to itself, takes some seconds to log in again.
const pathsTimeout = 90 * time.Second

// The guest writes for longer than the fabric is dark, and the fabric is dark for
// longer than the initiator's timers.
const (
	writing  = 40 * time.Second
	darkness = 15 * time.Second
)

func (s *story) tell(ctx context.Context) (err error) {
	s.say("Booting a storage processor and a node, each on a kernel of its own, and starting the cloud.")
	if s.cloud, err = scenario.Start(ctx, scenario.Options{Log: os.Stdout}); err != nil {
		return err
	}
	if err := s.admin(ctx); err != nil {
		return err
	}
	volume, instance, err := s.create(ctx)
	if err != nil {
		return err
	}
	if err := s.tempt(ctx, volume, instance); err != nil {
		return err
	}
	if err := s.fail(ctx, volume); err != nil {
		return err
	}
	return s.remove(ctx, volume)
}

// admin sets the properties, as the original's manual has it.
func (s *story) admin(ctx context.Context) error {
	s.say("The admin names the SAN's two admin addresses and the four paths.")
	for _, p := range [][2]string{
		{"storage.sanhost", strings.Join(scenario.AdminAddrs, ",")},
		{"storage.ncpaths", strings.Join(scenario.DataAddrs, ",")},
	} {
		// The partition shows as soon as its storage controller has connected.
		if err := scenario.Eventually(ctx, 300*time.Millisecond, func() (bool, error) {
			err := s.show(ctx, "euca-modify-property", "-p", scenario.Partition+"."+p[0]+"="+p[1])
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	return s.show(ctx, "euca-describe-properties", scenario.Partition+".storage")
}

// create makes a volume with the stock aws CLI.
func (s *story) create(ctx context.Context) (volume, instance string, err error) {
	if instance, err = s.cloud.Instance(ctx); err != nil {
		return "", "", err
	}
	s.say("A tenant creates a volume with the stock aws CLI. The node is instance %s.", instance)
	volume, err = s.aws(ctx, "create-volume", "--size", sizeGiB, "--availability-zone", scenario.Partition,
		"--query", "VolumeId")
	if err != nil {
		return "", "", err
	}
	return volume, instance, s.await(ctx, volume, "State", "available")
}

func (s *story) attach(ctx context.Context, volume, instance string) error {
	s.say("Attaching %s.", volume)
	if _, err := s.aws(ctx, "attach-volume", "--volume-id", volume, "--instance-id", instance, "--device", "/dev/sdf",
		"--query", "State"); err != nil {
		return err
	}
	if err := s.await(ctx, volume, "Attachments[0].State", "attached"); err != nil {
		return err
	}
	return s.awaitPaths(ctx, volume, 4)
}

func (s *story) detach(ctx context.Context, volume string) error {
	s.say("Detaching %s.", volume)
	if _, err := s.aws(ctx, "detach-volume", "--volume-id", volume, "--query", "State"); err != nil {
		return err
	}
	return s.await(ctx, volume, "State", "available")
}

// tempt fills the volume with what a host likes to open, and attaches it anew.
func (s *story) tempt(ctx context.Context, volume, instance string) error {
	if err := s.attach(ctx, volume, instance); err != nil {
		return err
	}
	s.say("The guest partitions its disk: a GPT, an LVM physical volume, half of an MD mirror. Then the volume is attached anew.")
	if err := s.cloud.Content(ctx, device(volume)); err != nil {
		return err
	}
	if err := s.detach(ctx, volume); err != nil {
		return err
	}
	if err := s.attach(ctx, volume, instance); err != nil {
		return err
	}
	if err := s.table(ctx, "attached", volume, 4); err != nil {
		return err
	}
	opened, err := s.cloud.Opened(ctx)
	if err != nil {
		return err
	}
	if len(opened) > 0 {
		return fmt.Errorf("a host has opened what is inside of the volume: %s", strings.Join(opened, "; "))
	}
	fmt.Println("The hosts have opened none of it.")
	return nil
}

// fail takes a fabric away and gives it back while the guest writes.
func (s *story) fail(ctx context.Context, volume string) error {
	s.say("fio writes to the volume, with a checksum in each block.")
	fio, err := scenario.StartFio(ctx, s.cloud.NC1, scenario.Workload{
		Devices: []string{device(volume)}, Offset: scenario.ContentSize, Length: writing,
	})
	if err != nil {
		return err
	}
	dark := time.Now()
	s.say("Fabric 2 goes dark: 10.108.1.200 and 10.108.1.201 answer no more. No link goes down, nobody is told.")
	if err := s.cloud.Lab.CutFabric(ctx, "fab2"); err != nil {
		return err
	}
	if err := s.awaitPaths(ctx, volume, 2); err != nil {
		return err
	}
	if err := s.table(ctx, "cut", volume, 2); err != nil {
		return err
	}
	fmt.Println("fio goes on over the other two.")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(dark.Add(darkness))):
	}
	s.say("Fabric 2 comes back.")
	if err := s.cloud.Lab.HealFabric(ctx, "fab2"); err != nil {
		return err
	}
	if err := s.awaitPaths(ctx, volume, 4); err != nil {
		return err
	}
	if err := s.table(ctx, "healed", volume, 4); err != nil {
		return err
	}
	s.say("fio writes on, then reads back every block.")
	outcome, err := fio.Wait(ctx)
	if err != nil {
		return err
	}
	s.result.IOErrors = outcome.Errors
	s.result.BytesVerified = outcome.BytesVerified
	s.result.LongestStallMS = outcome.LongestStall.Milliseconds()
	switch {
	case outcome.Errors > 0:
		return fmt.Errorf("fio saw %d errors", outcome.Errors)
	case outcome.BytesVerified == 0 || outcome.BytesVerified != outcome.BytesWritten:
		return fmt.Errorf("fio wrote %d bytes and verified %d", outcome.BytesWritten, outcome.BytesVerified)
	}
	fmt.Printf("%d MiB verified, no error; the longest time without a completed write was %v.\n",
		outcome.BytesVerified>>20, outcome.LongestStall)
	return nil
}

// remove detaches and deletes, and looks at the machines for what is left.
func (s *story) remove(ctx context.Context, volume string) error {
	if err := s.detach(ctx, volume); err != nil {
		return err
	}
	s.say("Deleting %s.", volume)
	if _, err := s.aws(ctx, "delete-volume", "--volume-id", volume); err != nil {
		return err
	}
	if _, err := s.aws(ctx, "wait", "volume-deleted", "--volume-ids", volume); err != nil {
		return err
	}
	left, err := s.cloud.Leftovers(ctx)
	if err != nil {
		return err
	}
	var all []string
	for machine, things := range left {
		s.result.Leftovers[machine] = len(things)
		for _, thing := range things {
			all = append(all, machine+": "+thing)
		}
	}
	if len(all) > 0 {
		return fmt.Errorf("left over: %s", strings.Join(all, "; "))
	}
	fmt.Println("No session, disk, map, node record, export or logical volume is left on any machine.")
	return nil
}

func device(volume string) string { return "/dev/mallee/" + volume }
