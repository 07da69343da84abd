// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/mallee-io/mallee/internal/kerneltest"
)

// operations are what may happen. Each lets some time pass afterwards, mostly little.
func (m *model) operations(done *atomic.Int64) map[string]func(*rapid.T) {
	plain := map[string]func(*rapid.T){
		"attach": m.attach, "attach another": m.attach, "detach": m.detach, "detach by force": m.forceDetach,
		"cut": m.cut, "heal": m.healSome, "swap": m.swap, "swap back": m.swapBack, "clone": m.clone,
		"suspend": m.suspend, "power": m.power,
		"kill": m.kill, "kill soon": m.killSoon, "restart multipathd": m.restart,
		"change portals": m.changePortals, "grow": m.grow, "change secret": m.changeSecret,
		"open": m.open, "others' session": m.othersSession, "others' map": m.othersMap,
		"wait": func(*rapid.T) {},
	}
	all := map[string]func(*rapid.T){}
	for name, operation := range plain {
		all[name] = func(t *rapid.T) {
			operation(t)
			done.Add(1)
			m.pass(rapid.SampledFrom([]time.Duration{
				time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 12 * time.Second,
			}).Draw(t, "for"))
			if m.node.dead() && rapid.Bool().Draw(t, "restart") {
				m.start()
			}
		}
	}
	return all
}

func (m *model) some(t *rapid.T, of func(*modelVolume) bool) *modelVolume {
	list := slices.DeleteFunc(slices.Clone(m.volumes), func(v *modelVolume) bool { return !of(v) })
	if len(list) == 0 {
		t.Skip("no such volume")
	}
	return rapid.SampledFrom(list).Draw(t, "volume")
}

func exported(v *modelVolume) bool { return v.isExported() }

func wished(v *modelVolume) bool { _, attached, _ := v.want(); return attached }

// somePortals draws expected paths, some of them bound to a network device.
func somePortals(t *rapid.T) []Portal {
	var list []Portal
	for _, addr := range modelPortals {
		switch rapid.IntRange(0, 4).Draw(t, "portal") {
		case 0:
		case 1:
			list = append(list, Portal{Addr: addr, TPGT: 1, NetDevice: "eth1"})
		default:
			list = append(list, Portal{Addr: addr, TPGT: 1})
		}
	}
	if len(list) == 0 {
		list = append(list, Portal{Addr: modelPortals[0], TPGT: 1})
	}
	return list
}

func someAddresses(t *rapid.T) []netip.AddrPort {
	n := rapid.IntRange(1, 1<<len(modelPortals)-1).Draw(t, "portals")
	var list []netip.AddrPort
	for i, addr := range modelPortals {
		if n&(1<<i) != 0 {
			list = append(list, addr)
		}
	}
	return list
}

func (m *model) attach(t *rapid.T) {
	v := m.some(t, func(v *modelVolume) bool { return !wished(v) })
	portals := somePortals(t)
	m.k.Note("attach %s through %v", v.spec.Name, portals)
	if wrong := m.san.export(v, portals); wrong != "" {
		m.fail("%s", wrong)
	}
}

func (m *model) detach(t *rapid.T) {
	v := m.some(t, wished)
	m.k.Note("detach %s", v.spec.Name)
	v.close()
	v.wish(func(w *modelWish) { w.attached = false })
}

// forceDetach takes the volume away from the node before the node knows.
func (m *model) forceDetach(t *rapid.T) {
	v := m.some(t, wished)
	m.k.Note("detach %s by force", v.spec.Name)
	v.close()
	v.wish(func(w *modelWish) { w.attached = false })
	if err := m.san.takeBack(v, 0); err != nil {
		m.fail("%v", err)
	}
}

func (m *model) cut(t *rapid.T) {
	portals, refuses := someAddresses(t), rapid.Bool().Draw(t, "refuses")
	m.k.Note("cut %v, refusing: %t", portals, refuses)
	m.san.cut(portals, refuses)
}

func (m *model) healSome(t *rapid.T) {
	if m.san.down {
		t.Skip("no power")
	}
	for _, addr := range someAddresses(t) {
		m.k.Note("heal %v", addr)
		m.k.Heal(addr)
	}
}

// swap puts another volume behind a LUN, under whatever is there.
func (m *model) swap(t *rapid.T) {
	v := m.some(t, exported)
	other := m.some(t, func(o *modelVolume) bool { return o != v })
	portals := someAddresses(t)
	m.k.Note("swap: %s behind the LUN of %s at %v", other.spec.Name, v.spec.Name, portals)
	m.san.swap(v, other.unit, portals)
}

func (m *model) swapBack(t *rapid.T) {
	v := m.some(t, exported)
	m.k.Note("%s is behind its LUN", v.spec.Name)
	m.san.restore(v)
}

// clone puts a unit with the identity of another behind a LUN: two of one WWID.
func (m *model) clone(t *rapid.T) {
	v := m.some(t, exported)
	other := m.some(t, func(o *modelVolume) bool { return o != v })
	portals := someAddresses(t)
	m.k.Note("clone: a copy of %s behind the LUN of %s at %v", other.spec.Name, v.spec.Name, portals)
	m.san.swap(v, &kerneltest.Unit{WWID: other.spec.WWID, Serial: "another", Size: other.unit.Size}, portals)
}

func (m *model) suspend(t *rapid.T) {
	v := m.some(t, exported)
	m.k.Change(v.unit, func(u *kerneltest.Unit) { u.Suspended = !u.Suspended })
	m.k.Note("%s is suspended: %t", v.spec.Name, v.unit.Suspended)
}

func (m *model) power(*rapid.T) {
	m.k.Note("power: %t", m.san.down)
	if err := m.san.power(m.san.down); err != nil {
		m.fail("%v", err)
	}
}

func (m *model) kill(*rapid.T) { m.node.kill() }

func (m *model) killSoon(t *rapid.T) {
	m.node.process.KillAt(rapid.IntRange(1, 60).Draw(t, "call"))
}

func (m *model) restart(*rapid.T) { m.k.Restart() }

func (m *model) changePortals(t *rapid.T) {
	v := m.some(t, wished)
	portals := somePortals(t)
	m.k.Note("%s goes through %v", v.spec.Name, portals)
	v.wish(func(w *modelWish) { w.portals = portals })
}

func (m *model) grow(t *rapid.T) {
	v := m.some(t, wished)
	m.k.Change(v.unit, func(u *kerneltest.Unit) { u.Size += 1 << 30 })
	m.k.Note("%s grows", v.spec.Name)
	v.wish(func(w *modelWish) { w.size = v.unit.Size })
}

func (m *model) changeSecret(t *rapid.T) {
	secret := rapid.SampledFrom([]string{"the-first-secret", "the-second-secret"}).Draw(t, "secret")
	m.k.Note("the secret is %s", secret)
	m.san.setSecret(secret)
	for _, v := range m.volumes {
		v.wish(func(w *modelWish) { w.chap = m.san.chap })
	}
}

// open has a guest open a device, or give it back.
func (m *model) open(t *rapid.T) {
	v := m.some(t, exported)
	if v.closer != nil {
		v.close()
	} else {
		v.closer = m.k.Open(v.spec.WWID)
	}
	m.k.Note("%s is open: %t", v.spec.Name, v.closer != nil)
}

func (m *model) othersSession(t *rapid.T) {
	m.k.OthersLogIn(rapid.SampledFrom(modelPortals).Draw(t, "portal"), othersLUN)
}

func (m *model) othersMap(t *rapid.T) {
	v := m.some(t, exported)
	volume, _, _ := v.want()
	m.k.OthersMap(uint64(volume.LUN))
}
