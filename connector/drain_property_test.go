// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
)

// everyPortal is what the lists of FuzzPathsChange are made of.
var everyPortal = []string{a1, a2, b1, b2, "eth1:" + a1, "eth3:" + a2}

// FuzzPathsChange changes a volume's portals at random while portals fail and come
// back, the process restarts and multipathd takes disks back. Nothing that the
// connector does may leave fewer usable paths than there were at the change, or
// than are expected now, and none may it leave without one. In the end, with all
// well, the paths are those that are expected, and nothing else is left.
func FuzzPathsChange(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(seed, uint8(20))
	}
	f.Fuzz(func(t *testing.T, seed uint64, length uint8) {
		k := newKernel(t)
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			c := k.connector()
			v := through(a1, b1)
			var log []string
			k.attach(c, v)
			for range length % 32 {
				event := k.event(rng, &c, &v)
				log = append(log, fmt.Sprintf("%s -> %q", event, shown(k.run(c, v, 1+rng.IntN(6)))))
			}
			k.takesBack = false
			k.fail(false, a1, a2, b1, b2)
			k.expect(v, 0)
			status := k.run(c, v, 90)
			if status.Up() != len(v.Portals) || len(status.Paths) != len(v.Portals) || !c.linked(v, "dm-0") {
				t.Errorf("in the end: %q", shown(status))
			}
			if got := k.loggedIn(); len(got) != len(v.Portals) {
				t.Errorf("sessions %q, want those of %v", got, v.Portals)
			}
			if t.Failed() {
				for _, line := range log {
					t.Log(line)
				}
			}
		})
	})
}

// event lets something happen and returns what.
func (k *kernel) event(rng *rand.Rand, c **Connector, v *Volume) string {
	switch rng.IntN(6) {
	case 0, 1:
		list := slices.Clone(everyPortal)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:1+rng.IntN(4)]
		if slices.Equal(through(list...).Portals, v.Portals) {
			return "nothing"
		}
		*v = through(list...)
		k.expect(*v, k.count())
		return fmt.Sprintf("the list is %q", list)
	case 2:
		portal := everyPortal[rng.IntN(4)]
		k.fail(true, portal)
		return portal + " dies"
	case 3:
		portal := everyPortal[rng.IntN(4)]
		k.fail(false, portal)
		return portal + " lives"
	case 4:
		*c = k.connector()
		k.expect(*v, k.count())
		return "a restart"
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.takesBack = !k.takesBack
	return fmt.Sprintf("multipathd takes disks back: %t", k.takesBack)
}

func (k *kernel) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.usable(nil)
}

// expect guards what a change of portals to those of v must leave, if before paths
// were usable at that time.
func (k *kernel) expect(v Volume, before int) {
	wanted := map[string]bool{}
	for _, p := range v.Portals {
		s, err := p.session(target)
		if err != nil {
			k.t.Fatal(err)
		}
		wanted[s.Iface+" "+s.Addr.String()] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leaving = func(d *fakeDisk) {
		left := k.usable(d)
		switch {
		case wanted[d.session.iface+" "+d.session.portal]:
			k.t.Errorf("%s of %s, which is expected, leaves the map", d.name, d.session.portal)
		case !d.inMap:
		case left == 0:
			k.t.Errorf("%s of %s leaves the map as the last usable path", d.name, d.session.portal)
		case left < min(before, len(v.Portals)) && k.alive(d.session):
			k.t.Errorf("%s of %s leaves the map: %d usable paths are left; %d there were, %d are expected",
				d.name, d.session.portal, left, before, len(v.Portals))
		}
	}
}
