// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// trial is a partition of busy nodes n0, n1, …, which are settled for "old" when
// it begins and do only what the test says.
type trial struct {
	*Rollout
	t    *testing.T
	now  time.Time
	idle map[string]bool
	hold bool
	log  bytes.Buffer
}

func newTrial(t *testing.T, nodes int) *trial {
	tr := &trial{t: t, now: time.Unix(1e9, 0), idle: map[string]bool{}}
	tr.Rollout = New("old", slog.New(slog.NewTextHandler(&tr.log, nil)))
	for i := range nodes {
		name := fmt.Sprintf("n%d", i)
		tr.Connect(name, "old", true, tr.now)
		tr.says(name, "old", true, 2)
	}
	tr.step("old")
	return tr
}

func (tr *trial) step(want string) (told string, next time.Duration) {
	list, next := tr.Step(want, func(name string) bool { return !tr.idle[name] }, tr.hold, tr.now)
	return strings.Join(list, " "), next
}

// tells fails the test unless a step tells just these nodes.
func (tr *trial) tells(want, nodes string) {
	tr.t.Helper()
	if told, _ := tr.step(want); told != nodes {
		tr.t.Errorf("%s is told to %q, want %q\n%s", want, told, nodes, tr.log.String())
	}
}

func (tr *trial) says(name, list string, settled bool, possible int) {
	tr.Report(name, Report{Paths: list, Settled: settled, Looked: 2, Possible: possible})
}

func (tr *trial) pass(d time.Duration) { tr.now = tr.now.Add(d) }

// lists returns who has been told what.
func (tr *trial) lists() string {
	byList := map[string][]string{}
	for _, name := range tr.names() {
		byList[tr.List(name)] = append(byList[tr.List(name)], name)
	}
	var all []string
	for _, list := range slices.Sorted(maps.Keys(byList)) {
		all = append(all, list+": "+strings.Join(byList[list], " "))
	}
	return strings.Join(all, "; ")
}

func TestOneAfterTheOther(t *testing.T) {
	tr := newTrial(t, 3)
	tr.tells("new", "n0")
	tr.tells("new", "") // it has not settled
	tr.says("n0", "old", true, 2)
	tr.tells("new", "") // what it says is of the old list
	tr.says("n0", "new", false, 2)
	tr.tells("new", "")
	tr.pass(time.Second)
	tr.says("n0", "new", true, 2)
	tr.tells("new", "n1")
	tr.says("n1", "new", true, 2)
	tr.tells("new", "n2")
	tr.says("n2", "new", true, 1)
	if _, next := tr.step("new"); next != 0 || tr.Progress(tr.now).Changing {
		t.Errorf("the change is complete, and it is to be looked at again after %v", next)
	}
	for _, line := range []string{"ncpaths change begins", "to_change=3", "ncpaths change has come to node", "ncpaths change is complete", "duration=1s"} {
		if !strings.Contains(tr.log.String(), line) {
			t.Errorf("the log has no %q:\n%s", line, tr.log.String())
		}
	}
}

func TestOneInTenAtOnce(t *testing.T) {
	tr := newTrial(t, 25)
	tr.tells("new", "n0 n1")
	tr.says("n1", "new", true, 2)
	tr.tells("new", "n10")
}

func TestNodeWithoutVolumesWaitsForNobody(t *testing.T) {
	tr := newTrial(t, 4)
	tr.idle["n1"], tr.idle["n3"] = true, true
	tr.tells("new", "n1 n3 n0")
	tr.Connect("n4", "old", false, tr.now)
	tr.Connect("n5", "", true, tr.now) // just started, with volumes to bring up
	if got, want := tr.lists(), "new: n0 n1 n3 n4 n5; old: n2"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

func TestSickNodeDoesNotStopTheRest(t *testing.T) {
	tr := newTrial(t, 3)
	tr.tells("new", "n0")
	tr.says("n0", "new", false, 1)
	_, next := tr.step("new")
	if next != Patience {
		t.Errorf("it is looked at again after %v, want %v", next, Patience)
	}
	tr.pass(next)
	tr.tells("new", "n1")
	if p := tr.Progress(tr.now); !slices.Equal(p.Unsettled, []string{"n0", "n1"}) || !p.Changing {
		t.Errorf("progress %+v", p)
	}
	if !strings.Contains(tr.log.String(), "level=WARN msg=\"node has not settled for the new ncpaths: others no longer wait for it\" node=n0") {
		t.Error(tr.log.String())
	}
	tr.says("n1", "new", true, 2)
	tr.tells("new", "n2")
	tr.says("n2", "new", true, 2)
	tr.tells("new", "")
	if p := tr.Progress(tr.now); p.Changing || len(p.Unsettled) != 1 {
		t.Errorf("all have been told, and all but one have settled: %+v", p)
	}
}

func TestNodeThatGoesFreesItsPlace(t *testing.T) {
	tr := newTrial(t, 3)
	tr.tells("new", "n0")
	tr.Disconnect("n0")
	tr.tells("new", "n1")
	tr.Connect("n0", "new", true, tr.now) // back, and perhaps on its way
	tr.says("n1", "new", true, 2)
	tr.tells("new", "")
	tr.says("n0", "new", true, 2)
	tr.tells("new", "n2")
}

func TestListThatLeadsNowhereHaltsTheChange(t *testing.T) {
	halted := func(t *testing.T) *trial {
		tr := newTrial(t, 4)
		tr.tells("bad", "n0")
		tr.says("n0", "bad", false, 0)
		tr.tells("bad", "")
		tr.pass(lookTime)
		tr.tells("bad", "")
		if !tr.Progress(tr.now).Halted {
			t.Fatal("a node has lost all paths, and the change goes on")
		}
		tr.pass(time.Hour)
		tr.tells("bad", "")
		return tr
	}
	t.Run("the rest keep the old list", func(t *testing.T) {
		tr := halted(t)
		tr.idle["n2"] = true
		tr.tells("bad", "")
		tr.Connect("n4", "old", false, tr.now)
		if got, want := tr.lists(), "bad: n0; old: n1 n2 n3 n4"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		if n := strings.Count(tr.log.String(), "halted"); n != 1 {
			t.Errorf("the log says so %d times", n)
		}
	})
	t.Run("one that is started anew gets what others have", func(t *testing.T) {
		tr := newTrial(t, 4)
		tr.tells("bad", "n0")
		tr.says("n0", "bad", true, 0)
		tr.pass(lookTime)
		tr.tells("bad", "")
		tr.Connect("n4", "", true, tr.now)
		if got := tr.List("n4"); got != "old" {
			t.Errorf("it is told %q", got)
		}
	})
	t.Run("the one that found out goes and comes", func(t *testing.T) {
		tr := halted(t)
		tr.pass(time.Hour) // in which nothing has happened
		tr.Disconnect("n0")
		tr.tells("bad", "")
		tr.pass(Patience - 1)
		tr.tells("bad", "")
		tr.Connect("n0", "bad", true, tr.now)
		tr.says("n0", "bad", false, 0)
		tr.pass(lookTime)
		if tr.tells("bad", ""); !tr.Progress(tr.now).Halted {
			t.Error("the change goes on")
		}
	})
	t.Run("the one that found out is gone for good", func(t *testing.T) {
		tr := halted(t)
		tr.Disconnect("n0")
		_, next := tr.step("bad")
		if next != Patience {
			t.Errorf("it is looked at again after %v, want %v", next, Patience)
		}
		tr.pass(next)
		tr.tells("bad", "n1")
	})
	t.Run("set to another", func(t *testing.T) {
		tr := halted(t)
		tr.tells("good", "n0") // n0 waits its turn like the others
		tr.says("n0", "good", true, 2)
		tr.tells("good", "n1")
	})
	t.Run("set back", func(t *testing.T) {
		tr := halted(t)
		tr.tells("old", "n0")
		tr.says("n0", "old", true, 2)
		if tr.tells("old", ""); tr.Progress(tr.now).Changing {
			t.Errorf("%+v", tr.Progress(tr.now))
		}
	})
	t.Run("the next list is bad as well", func(t *testing.T) {
		tr := halted(t)
		tr.tells("worse", "n0")
		tr.says("n0", "worse", false, 0)
		tr.pass(lookTime)
		if tr.tells("worse", ""); !tr.Progress(tr.now).Halted {
			t.Error("the change goes on")
		}
	})
	t.Run("a path is found after all", func(t *testing.T) {
		tr := halted(t)
		tr.says("n0", "bad", true, 1)
		tr.tells("bad", "n1")
	})
}

// What was found out before is found out again, from what the nodes say.
func TestHaltIsFoundAgainAfterARestart(t *testing.T) {
	tr := newTrial(t, 0)
	for name, works := range map[string]string{"n0": "bad", "n1": "old", "n2": "old"} {
		tr.Connect(name, works, true, tr.now)
	}
	tr.hold = true
	tr.tells("bad", "")
	tr.says("n0", "bad", false, 0)
	tr.says("n1", "old", true, 2)
	tr.says("n2", "old", true, 2)
	tr.hold = false
	tr.tells("bad", "") // n0 may be on its way
	tr.pass(lookTime)
	if tr.tells("bad", ""); !tr.Progress(tr.now).Halted {
		t.Error("the change goes on")
	}
	tr.Connect("n3", "", true, tr.now)
	if got := tr.List("n3"); got != "old" {
		t.Errorf("one that is started anew is told %q", got)
	}
}

func TestListThatOthersReachIsNotHalted(t *testing.T) {
	tr := newTrial(t, 4)
	tr.tells("new", "n0")
	tr.says("n0", "new", true, 2)
	tr.tells("new", "n1")
	tr.says("n1", "new", true, 0) // it keeps its old paths, and has nothing to do
	tr.pass(Patience - 1)
	tr.tells("new", "")
	tr.pass(1)
	tr.tells("new", "n2")
}

// Nobody would lose anything: the SAN is down, and the change may be the cure.
func TestListIsNotHaltedWhereNothingIsLost(t *testing.T) {
	tr := newTrial(t, 3)
	for _, n := range tr.names() {
		tr.says(n, "old", true, 0)
	}
	tr.tells("new", "n0")
	tr.says("n0", "new", true, 0)
	tr.pass(lookTime)
	tr.tells("new", "n1")
}

func TestChangeBackInTheMiddle(t *testing.T) {
	tr := newTrial(t, 20)
	tr.tells("new", "n0 n1")
	tr.says("n0", "new", true, 2)
	tr.tells("new", "n10")
	// n0 has the new list and waits for its turn; n1 and n10 move and are sent back.
	tr.tells("old", "n1 n10")
	tr.says("n1", "old", true, 2)
	tr.tells("old", "n0")
	tr.says("n10", "old", true, 2)
	tr.says("n0", "old", true, 2)
	if tr.tells("old", ""); tr.Progress(tr.now).Changing {
		t.Errorf("%+v", tr.Progress(tr.now))
	}
}

func TestHeldChange(t *testing.T) {
	tr := newTrial(t, 3)
	tr.hold, tr.idle["n2"] = true, true
	tr.tells("new", "n2")
	tr.hold = false
	tr.tells("new", "n0")
}

func TestNewsIsWhatDiffers(t *testing.T) {
	tr := newTrial(t, 1)
	r := Report{Paths: "new", Settled: true}
	if !tr.Report("n0", r) || tr.Report("n0", r) || tr.Report("stranger", r) {
		t.Error("only the first report of a node that is there is news")
	}
}
