// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/block"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// What is behind a LUN may change without a word. Nobody calls Repair for that.
func TestAPatrolFindsADiskThatIsAnotherByNow(t *testing.T) {
	m := newMachine(t)
	m.session("LOGGED_IN")
	m.say(mapOf(wwid, "dm-0", "sdb"))
	m.has(wwid, "dm-0")
	m.is("sdb", wwid)
	if status := m.repair(vol()); !status.Ready {
		t.Fatalf("%+v", status)
	}
	m.age(2 * patrolAge)
	news := m.Changed(wwid)
	m.walk(t.Context(), nil)
	select {
	case <-news:
		t.Error("news of a disk that is what it was")
	default:
	}
	m.age(2 * patrolAge)
	m.is("sdb", other)
	m.walk(t.Context(), nil)
	select {
	case <-news:
	default:
		t.Fatal("no news of a disk that is another")
	}
	got := m.repair(vol()).Paths[0]
	settle(m.Connector) // the disk is in the map here still, and is removed once more
	if got.State != PathQuarantined || !m.deleted("sdb") {
		t.Errorf("%+v, deleted %t", got, m.deleted("sdb"))
	}
}

func TestAPatrolAsksTheOldestFirstAndNotAll(t *testing.T) {
	c, _ := newConnector(t)
	const paths = 3 * patrolAsks
	now := &view{byNumber: map[[2]uint32]found{}}
	state := c.volume(wwid)
	state.probes.session = map[int]*probe{}
	for i := range paths {
		s := openiscsi.Session{ID: i, State: "LOGGED_IN"}
		d := block.Disk{Name: fmt.Sprintf("sd%03d", i), Minor: uint32(i), WWID: wwid, MapUUID: "mpath-" + wwid}
		now.byNumber[[2]uint32{0, d.Minor}] = found{d, s}
		state.probes.session[i] = &probe{disk: d, at: time.Now().Add(time.Duration(i-paths-3) * time.Second)}
	}
	c.looks.take = func() (*view, error) { return now, nil }
	var mu sync.Mutex
	asked := map[string]int{}
	diskTree(c).inquire = func(disk string, _ time.Duration) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[disk]++
		return wwid, nil
	}
	for round := range 3 {
		c.walk(t.Context(), nil)
		if len(asked) != (round+1)*patrolAsks {
			t.Fatalf("round %d: %d disks were asked", round, len(asked))
		}
		if round == 0 && (asked["sd000"] != 1 || asked[fmt.Sprintf("sd%03d", patrolAsks-1)] != 1) {
			t.Errorf("the first who were asked are not the oldest: %v", asked)
		}
	}
	c.walk(t.Context(), nil) // all were asked just now
	for disk, n := range asked {
		if n != 1 {
			t.Errorf("%s was asked %d times", disk, n)
		}
	}
}
