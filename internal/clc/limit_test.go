// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"errors"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

const maxVolume, maxTotal = "PARTI00.storage.maxvolumesizeingb", "PARTI00.storage.maxtotalvolumesizeingb"

func TestSizesAreLimited(t *testing.T) {
	c, s := ready(t)
	create := func(gib int) (mallee.VolumeID, error) {
		v, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: gib})
		return v.ID, err
	}
	_, err := create(101)
	wantError(t, err, mallee.Invalid, "101 GiB", "100 GiB", maxVolume)
	if e, ok := errors.AsType[*mallee.Error](err); !ok || !strings.Contains(e.Hint, "mallee property set "+maxVolume+" 101") {
		t.Errorf("%v does not tell the way out", err)
	}
	id, err := create(100)
	if err != nil {
		t.Fatal(err)
	}
	s.volume(id, true)
	_, err = c.GrowVolume(t.Context(), id, 101)
	wantError(t, err, mallee.Invalid, "101 GiB", maxVolume)

	c.set(maxVolume, "450")
	if _, err := c.GrowVolume(t.Context(), id, 450); err != nil {
		t.Fatal(err)
	}
	_, err = create(51) // that it is still growing counts
	wantError(t, err, mallee.OverLimit, "51 GiB more", "have 450 GiB", maxTotal, "500 GiB")
	if e, ok := errors.AsType[*mallee.Error](err); !ok || !strings.Contains(e.Hint, "mallee property set "+maxTotal+" 501") {
		t.Errorf("%v does not tell the way out", err)
	}
	small, err := create(49)
	if err != nil {
		t.Fatal(err)
	}
	s.volume(small, true)
	_, err = c.GrowVolume(t.Context(), small, 51)
	wantError(t, err, mallee.OverLimit, "2 GiB more", "have 499 GiB", maxTotal)
	if _, err := c.GrowVolume(t.Context(), small, 50); err != nil {
		t.Error(err)
	}

	// Other partitions have limits of their own, and what was not made counts for nothing.
	c.sc("sc2", "PARTI01").until("the first state", func(*cloudv1.PartitionState) bool { return true })
	if _, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "PARTI01", SizeGiB: 100}); err != nil {
		t.Error(err)
	}
	c.set(maxTotal, "501")
	failed, err := create(1)
	if err != nil {
		t.Fatal(err)
	}
	s.report(&cloudv1.PartitionReport{Volumes: []*cloudv1.VolumeReport{{VolumeId: string(failed), Known: true, Failed: true, Message: "no room"}}})
	if _, err := create(1); err != nil {
		t.Error(err)
	}
	// What is there stays when a limit is lowered.
	c.set(maxTotal, "10")
	_, err = create(1)
	wantError(t, err, mallee.OverLimit, maxTotal)
	if v := c.volume(id); v == nil || v.State != mallee.VolumeAvailable {
		t.Errorf("the volume is %+v", v)
	}
}

// Of volumes that would be too much together, those are made that there is room
// for, however many are asked for at once.
func TestTheTotalHoldsForCallsAtOnce(t *testing.T) {
	c, _ := ready(t)
	c.set(maxTotal, "3")
	const callers = 8
	results := make(chan error, callers)
	for range callers {
		go func() {
			_, err := c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: partition, SizeGiB: 1})
			results <- err
		}()
	}
	made := 0
	for range callers {
		switch err := <-results; {
		case err == nil:
			made++
		case mallee.KindOf(err) != mallee.OverLimit:
			t.Error(err)
		}
	}
	if made != 3 {
		t.Errorf("%d volumes of 1 GiB were made, and there is room for 3", made)
	}
}
