// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// A list that cuts a node off is refused with all else of the set, and can be
// forced; a hidden value that was set with it is then the new one, and not before.
func TestAListThatCutsANodeOffIsForced(t *testing.T) {
	c, _ := pathCloud(t)
	c.set(sanpassword, "0ld-s3cret")
	sets := []mallee.PropertySet{{Name: sanpassword, Value: "n3w-s3cret"}, {Name: ncpaths, Value: portal2}}
	password := func() string { return c.view().settings(partition)[mallee.PropertySANPassword] }

	_, _, err := c.SetProperties(t.Context(), sets, false)
	wantError(t, err, mallee.PathsUnreachable, ncpaths, "nc2: 0 of 1 paths")
	if c.value(ncpaths) != portal1+","+portal2 || password() != "0ld-s3cret" {
		t.Errorf("it was refused, and %s is %q, the password %q", ncpaths, c.value(ncpaths), password())
	}

	changes, warnings, err := c.SetProperties(t.Context(), sets, true)
	if err != nil || len(changes) != 2 || c.value(ncpaths) != portal2 || password() != "n3w-s3cret" {
		t.Fatalf("it was forced: %v, %v; %s is %q, the password %q", changes, err, ncpaths, c.value(ncpaths), password())
	}
	if told := strings.Join(warnings, "\n"); !strings.Contains(told, "nc2: 0 of 1 paths") || strings.Contains(told, "nothing was changed") {
		t.Errorf("the warnings are %q", warnings)
	}
	events, err := c.PropertyHistory(t.Context(), []string{ncpaths}, 1)
	if err != nil || len(events) != 1 || !events[0].Forced || events[0].Value != portal2 {
		t.Errorf("the history is %+v, %v", events, err)
	}
}

// A call of the API has 25 seconds, however many partitions have a silent machine.
func TestSilentMachinesTakeTheirTimeTogether(t *testing.T) {
	c := newCluster(t)
	var sets []mallee.PropertySet
	for i := range 3 {
		name := fmt.Sprintf("PARTI%02d", i)
		s := c.sc(fmt.Sprintf("sc%d", i), name)
		s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
		sets = append(sets, mallee.PropertySet{Name: name + "." + scPaths, Value: portal1})
	}
	began := time.Now()
	_, warnings, err := c.SetProperties(t.Context(), sets, false)
	if took := time.Since(began); err != nil || took > 2*answerTime {
		t.Errorf("it took %v: %v", took, err)
	}
	if told := strings.Join(warnings, "\n"); !strings.Contains(told, "sc0: no answer") || !strings.Contains(told, "sc2: no answer") {
		t.Errorf("the warnings are %q", warnings)
	}
}
