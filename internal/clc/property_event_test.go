// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/telemetry"
)

func TestHistoryTellsWhoHasChangedWhat(t *testing.T) {
	c, _ := ready(t)
	c.sc("sc2", "PARTI01").until("the first state", func(*cloudv1.PartitionState) bool { return true })
	began := time.Now()
	ctx := telemetry.WithRequestID(telemetry.WithAccessKey(t.Context(), "AKMLTHEADMIN"), "r-1")
	for _, set := range []mallee.PropertySet{
		{Name: ncpaths, Value: "10.1.1.1"},
		{Name: ncpaths, Value: "10.1.1.1"}, // as it is
		{Name: "PARTI01.storage.minpaths", Value: "2"},
		{Name: ncpaths, Reset: true},
		{Name: ncpaths, Reset: true}, // as it is
		{Name: ncpaths, Value: "nopath"},
	} {
		if _, _, err := c.SetProperties(ctx, []mallee.PropertySet{set}, false); err != nil {
			t.Fatal(err)
		}
	}
	c.restart()
	event := func(name, value, old string, reset bool) mallee.PropertyEvent {
		return mallee.PropertyEvent{
			PropertyChange: mallee.PropertyChange{Name: name, Value: value, OldValue: old}, AccessKey: "AKMLTHEADMIN", RequestID: "r-1", Reset: reset,
		}
	}
	first := event(ncpaths, "10.1.1.1", "nopath", false)
	second := event("PARTI01.storage.minpaths", "2", "1", false)
	third := event(ncpaths, "nopath", "10.1.1.1", true)
	for name, test := range map[string]struct {
		prefixes []string
		most     int
		want     []mallee.PropertyEvent
	}{
		"all":           {nil, 0, []mallee.PropertyEvent{third, second, first}},
		"two":           {nil, 2, []mallee.PropertyEvent{third, second}},
		"one partition": {[]string{"PARTI00."}, 0, []mallee.PropertyEvent{third, first}},
		"two prefixes":  {[]string{"PARTI00.storage.s", "PARTI01.storage.minpaths"}, 9, []mallee.PropertyEvent{second}},
		"nothing":       {[]string{"storage"}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.PropertyHistory(t.Context(), test.prefixes, test.most)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range got {
				if e.Time.Before(began.Add(-time.Second)) || e.Time.After(time.Now()) {
					t.Errorf("it was at %v, and is told to have been at %v", began, e.Time)
				}
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(mallee.PropertyEvent{}, "Time"), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPartitionRemembersItsLastHundredChanges(t *testing.T) {
	c, _ := ready(t)
	for i := range keptEvents + 5 {
		c.set("PARTI00.storage.nopathtimeout", strconv.Itoa(1000+i))
	}
	events, err := c.PropertyHistory(t.Context(), nil, 0)
	if err != nil || len(events) != keptEvents {
		t.Fatalf("there are %d events, %v", len(events), err)
	}
	if events[0].Value != "1104" || events[keptEvents-1].Value != "1005" {
		t.Errorf("they are from %s to %s", events[keptEvents-1].Value, events[0].Value)
	}
}
