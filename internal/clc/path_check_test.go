// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// reaches has a part answer each path check until the test ends: it reaches the
// elements of a list that are in portals.
func (c *cluster) reaches(ctx context.Context, client cloudv1.CloudClient, checks <-chan []*cloudv1.PathCheck, portals string) {
	answered := map[string]bool{}
	for {
		var list []*cloudv1.PathCheck
		select {
		case list = <-checks:
		case <-ctx.Done():
			return
		}
		for _, check := range list {
			if answered[check.Id] {
				continue
			}
			answered[check.Id] = true
			a := &cloudv1.PathCheckAnswer{Id: check.Id}
			for _, text := range strings.Split(check.Paths, ",") {
				r := &cloudv1.Reach{Text: text, Portal: text + ":3260", State: string(mallee.Unreachable), Reason: "nobody answers"}
				if strings.Contains(portals, text) {
					r.State, r.Reason = string(mallee.Reachable), ""
				}
				if check.Probe {
					r.Evidence = string(mallee.ByTCP)
				}
				a.Reach = append(a.Reach, r)
			}
			_, err := client.AnswerPathCheck(ctx, a)
			if ctx.Err() != nil {
				return // the test is over
			}
			if err != nil {
				c.t.Error(err)
			}
		}
	}
}

// pass passes the checks of each state on.
func pass[M interface{ GetChecks() []*cloudv1.PathCheck }](ctx context.Context, states <-chan M, checks chan<- []*cloudv1.PathCheck) {
	for {
		select {
		case m := <-states:
			select {
			case checks <- m.GetChecks():
			case <-ctx.Done():
			}
		case <-ctx.Done():
			return
		}
	}
}

// looking has a node that is connected answer path checks.
func (c *cluster) looking(n *nc, portals string) {
	checks := make(chan []*cloudv1.PathCheck)
	ctx := c.t.Context()
	go c.reaches(ctx, n.client, checks, portals)
	go pass(ctx, n.ch, checks)
}

const (
	portal1, portal2 = "10.107.1.200", "10.108.1.200"
	ncpathsName      = partition + "." + ncPaths
)

// pathCloud is a partition with two nodes: nc1 reaches both portals, and nc2 the
// first. An attachment makes the one node busy that is not connected.
func pathCloud(t *testing.T) (*cluster, *sc) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	nc3 := c.nc("nc3")
	c.attached(s, nc3)
	c.hangUp("nc3", nc3)
	for name, portals := range map[string]string{"nc1": portal1 + portal2, "nc2": portal1} {
		c.looking(c.nc(name), portals)
	}
	c.set(ncpathsName, portal1+","+portal2)
	return c, s
}

func TestWhatAListWouldMean(t *testing.T) {
	c, _ := pathCloud(t)
	list := portal2
	for name, probe := range map[string]bool{"look": false, "probe": true} {
		t.Run(name, func(t *testing.T) {
			got, err := c.CheckPaths(t.Context(), ncpathsName, &list, probe)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"nc2: 0 of 1 paths, storage.minpaths asks for 1"}, got.Refused); d != "" {
				t.Error(d)
			}
			want := []string{"not connected, so that nobody can tell what the list means there: nc3", portal2 + " is not reached from nc2"}
			if d := cmp.Diff(want, got.Warnings); d != "" {
				t.Error(d)
			}
			if len(got.Sites) != 3 || got.Sites[0].Name != "nc1" || got.Sites[0].Possible() != 1 || got.Sites[2].Live || got.Value != list {
				t.Errorf("%+v", got)
			}
			if probed := got.Sites[0].Reach[0].Evidence == mallee.ByTCP; probed != probe {
				t.Errorf("probed: %v", probed)
			}
		})
	}
	t.Run("what is", func(t *testing.T) {
		got, err := c.CheckPaths(t.Context(), ncpathsName, nil, false)
		if err != nil || got.Value != portal1+","+portal2 || got.Refused != nil || got.Sites[0].Possible() != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	for name, call := range map[string]struct {
		property, value string
		kind            mallee.Kind
	}{
		"another property":  {partition + ".storage.sanhost", "10.1.1.1", mallee.Invalid},
		"no such partition": {"NOWHERE.storage.ncpaths", "10.1.1.1", mallee.NotFound},
		"not a list":        {ncpathsName, "10.1.1.1,,", mallee.Invalid},
		"no partition":      {"storage.ncpaths", "10.1.1.1", mallee.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.CheckPaths(t.Context(), call.property, &call.value, false); mallee.KindOf(err) != call.kind {
				t.Errorf("got %v, want an error of kind %s", err, call.kind)
			}
		})
	}
}

func TestSetThatWouldCutANodeOff(t *testing.T) {
	c, _ := pathCloud(t)
	before := c.view().settings(partition)
	after := func(list string) map[string]string {
		s := c.view().settings(partition)
		s[ncPaths] = list
		return s
	}
	_, err := c.judgePaths(t.Context(), c.view(), partition, before, after(portal2))
	wantError(t, err, mallee.PathsUnreachable, ncpathsName, "nc2: 0 of 1 paths", "nc2   10.108.1.200  -       unreachable  nobody answers")
	if hint := err.(*mallee.Error).Hint; !strings.Contains(hint, "mallee property set --force") {
		t.Errorf("the hint is %q", hint)
	}
	warnings, err := c.judgePaths(t.Context(), c.view(), partition, before, after(portal1))
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "nc3") {
		t.Errorf("%q, %v", warnings, err)
	}
	more := after(portal1 + "," + portal2)
	more["storage.minpaths"] = "2"
	_, err = c.judgePaths(t.Context(), c.view(), partition, before, more)
	wantError(t, err, mallee.PathsUnreachable, "nc2: 1 of 2 paths", "asks for 2")

	canceled, cancel := context.WithCancel(t.Context())
	cancel() // who asked anybody would be without an answer
	before["storage.nopathtimeout"] = "7"
	if warnings, err := c.judgePaths(canceled, c.view(), partition, before, after(before[ncPaths])); warnings != nil || err != nil {
		t.Errorf("nothing about paths changes: %q, %v", warnings, err)
	}
}

// A check that nobody answers ends, and is taken back; so is one whose caller goes.
func TestCheckThatNobodyAnswers(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	n := c.nc("nc1")
	other := c.nc("nc2")
	list := portal1
	check := func(ctx context.Context) <-chan mallee.PathCheck {
		done := make(chan mallee.PathCheck, 1)
		go func() {
			got, err := c.CheckPaths(ctx, ncpathsName, &list, false)
			if err != nil {
				t.Error(err)
			}
			done <- got
		}()
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := check(ctx)
	asked := n.until("a check", func(m *cloudv1.NodeState) bool { return len(m.Checks) == 2 })
	for _, q := range asked.Checks {
		// Only who was asked may answer.
		if _, err := other.client.AnswerPathCheck(ctx, &cloudv1.PathCheckAnswer{Id: q.Id, Reach: []*cloudv1.Reach{{State: "reachable"}}}); err != nil {
			t.Error(err)
		}
	}
	cancel()
	got := <-done
	if want := "nc1, nc2: no answer in time"; len(got.Warnings) == 0 || got.Warnings[0] != want || got.Refused != nil {
		t.Errorf("%q, refused %q, want %q", got.Warnings, got.Refused, want)
	}
	n.until("no check", func(m *cloudv1.NodeState) bool { return len(m.Checks) == 0 })
	if _, err := n.client.AnswerPathCheck(t.Context(), &cloudv1.PathCheckAnswer{Id: asked.Checks[0].Id}); err != nil {
		t.Errorf("an answer that comes too late: %v", err)
	}

	done = check(t.Context())
	n.until("a check", func(m *cloudv1.NodeState) bool { return len(m.Checks) == 2 })
	c.hangUp("nc1", n)
	c.hangUp("nc2", other)
	if got := <-done; got.Warnings[0] != "nc1, nc2: it has lost its connection" {
		t.Errorf("%q", got.Warnings)
	}
}

func TestChecksAtOnceAreBounded(t *testing.T) {
	c := newCluster(t)
	c.sc("sc1", partition).until("the first state", func(*cloudv1.PartitionState) bool { return true })
	leave, err := c.enterCheck(true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CheckPaths(t.Context(), ncpathsName, nil, true)
	wantError(t, err, mallee.Unavailable, "probes")
	for range maxChecks - 1 {
		if _, err := c.enterCheck(false); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.CheckPaths(t.Context(), ncpathsName, nil, false)
	wantError(t, err, mallee.Unavailable, "8 path checks")
	leave()
	if _, err = c.CheckPaths(t.Context(), ncpathsName, nil, true); err != nil {
		t.Errorf("one has ended, and another cannot begin: %v", err)
	}
}

func TestStorageControllerLooksToo(t *testing.T) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	n := c.nc("nc1")
	s.report(&cloudv1.PartitionReport{Portals: []string{portal1 + ":3260", "nonsense"}})
	n.until("the SAN's portals", func(m *cloudv1.NodeState) bool {
		return len(m.Portals) == 1 && m.Portals[0] == portal1+":3260"
	})
	checks := make(chan []*cloudv1.PathCheck)
	go c.reaches(t.Context(), s.client, checks, portal1)
	go pass(t.Context(), s.ch, checks)
	list := portal2
	got, err := c.CheckPaths(t.Context(), partition+"."+scPaths, &list, false)
	if err != nil || len(got.Sites) != 1 || got.Sites[0].Role != mallee.RoleSC || got.Refused != nil || len(got.Warnings) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := "sc1: 0 of 1 paths, a storage controller needs 1; it has too few today, too"; got.Warnings[0] != want {
		t.Errorf("%q, want %q", got.Warnings[0], want)
	}
}
