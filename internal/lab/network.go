// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// The control network carries the exec agents. It has a bridge of its own, so
// that no cut ever stops the lab from reaching a machine.
const (
	controlBridge = "ctl"
	controlHost   = "10.255.0.1"
	agentPort     = 7070
)

// controlAddress is the control address of the i-th machine.
func controlAddress(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 255, 0, byte(i + 2)})
}

// tap names the host's end of the NIC with an address, within IFNAMSIZ: tap
// and the address in hexadecimal, or the first and the last bytes of an IPv6 one.
func tap(address netip.Addr) string {
	return fmt.Sprintf("tap%x", short(address))
}

// mac is the hardware address of the NIC with an address: locally
// administered, and telling in a packet dump.
func mac(address netip.Addr) string {
	b := short(address)
	a := b[len(b)-4:]
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", len(b)-4, a[0], a[1], a[2], a[3])
}

// short is an IPv4 address, or six bytes of an IPv6 one: two in which the lab's
// subnets differ, and the last four.
func short(address netip.Addr) []byte {
	a := address.AsSlice()
	if address.Is4() {
		return a
	}
	return append(a[4:6:6], a[12:]...)
}

// hostNetwork is the input of `ip -batch` that makes bridges and taps.
func hostNetwork(t Topology) string {
	var b strings.Builder
	addBridge := func(name, address string) {
		fmt.Fprintf(&b, "link add %s type bridge\nlink set %s up\n", name, name)
		if address != "" {
			fmt.Fprintf(&b, "address add %s dev %s\n", address, name)
		}
	}
	addTap := func(address netip.Addr, bridge string) {
		fmt.Fprintf(&b, "tuntap add dev %s mode tap\nlink set %s master %s up\n", tap(address), tap(address), bridge)
	}
	addBridge(controlBridge, controlHost+"/24")
	for _, bridge := range t.Bridges {
		address := ""
		if bridge.Host.IsValid() {
			address = bridge.Host.String()
		}
		addBridge(bridge.Name, address)
	}
	for i, m := range t.Machines {
		addTap(controlAddress(i), controlBridge)
		for _, n := range m.NICs {
			addTap(n.Address.Addr(), n.Bridge)
		}
	}
	return b.String()
}

// hostNetworkDown undoes hostNetwork.
func hostNetworkDown(t Topology) string {
	var b strings.Builder
	for i, m := range t.Machines {
		fmt.Fprintf(&b, "link delete %s\n", tap(controlAddress(i)))
		for _, n := range m.NICs {
			fmt.Fprintf(&b, "link delete %s\n", tap(n.Address.Addr()))
		}
	}
	fmt.Fprintf(&b, "link delete %s\n", controlBridge)
	for _, bridge := range t.Bridges {
		fmt.Fprintf(&b, "link delete %s\n", bridge.Name)
	}
	return b.String()
}

// guestNetwork is the input of `ip -batch` in a machine. The kernel calls its NICs
// nic0, nic1 and so on, whatever stands for nic; the control NIC is the first.
func guestNetwork(m MachineSpec, control netip.Addr, nic string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "link set lo up\n")
	fmt.Fprintf(&b, "link set %s0 name %s\naddress add %s/24 dev %s\nlink set %s up\n",
		nic, controlBridge, control, controlBridge, controlBridge)
	for i, n := range m.NICs {
		// Where it is called eth already, the one before it has just left its name.
		fmt.Fprintf(&b, "link set %s%d name eth%d\n", nic, i+1, i)
		if n.Address.Addr().Is4() {
			b.WriteString(guestAddress(m, i))
		}
	}
	return b.String()
}

// guestNetwork6 is what guestNetwork leaves to `ip -6 -batch`.
func guestNetwork6(m MachineSpec) string {
	var b strings.Builder
	for i, n := range m.NICs {
		if n.Address.Addr().Is6() {
			b.WriteString(guestAddress(m, i))
		}
	}
	return b.String()
}

func guestAddress(m MachineSpec, i int) string {
	n := m.NICs[i]
	nodad := ""
	if n.Address.Addr().Is6() {
		nodad = " nodad" // else nobody could listen there for a second
	}
	return fmt.Sprintf("address add %s dev eth%d%s\nlink set eth%d up\nrule add from %s lookup %d\n",
		n.Address, i, nodad, i, n.Address.Addr(), sourceTable(i)) + sourceRoute(m, i)
}

// sourceRoute sends what has a NIC's address out of that NIC. Two NICs in one
// subnet have two equal routes in the main table, and all replies would leave
// by one of them.
func sourceRoute(m MachineSpec, i int) string {
	n := m.NICs[i]
	return fmt.Sprintf("route add %s dev eth%d src %s table %d\n",
		n.Address.Masked(), i, n.Address.Addr(), sourceTable(i))
}

func sourceTable(i int) int { return 100 + i }

// Cut makes an address a silent black hole: what is sent to it or by it is
// lost, and no machine sees a change of its link. The cut outlives a restart
// of the machine.
func (l *Lab) Cut(ctx context.Context, address string) error {
	return l.plug(ctx, address, false)
}

// Heal undoes Cut, and CutFabric for one address.
func (l *Lab) Heal(ctx context.Context, address string) error {
	return l.plug(ctx, address, true)
}

// CutFabric cuts every address on a bridge at once.
func (l *Lab) CutFabric(ctx context.Context, bridge string) error {
	return l.plugFabric(ctx, bridge, false)
}

// HealFabric heals every address on a bridge.
func (l *Lab) HealFabric(ctx context.Context, bridge string) error {
	return l.plugFabric(ctx, bridge, true)
}

func (l *Lab) plug(ctx context.Context, address string, in bool) error {
	for _, m := range l.topology.Machines {
		for _, n := range m.NICs {
			if n.Address.Addr().String() == address {
				return ipBatch(ctx, plugLine(n, in))
			}
		}
	}
	return fmt.Errorf("no machine has address %s", address)
}

func (l *Lab) plugFabric(ctx context.Context, bridge string, in bool) error {
	var lines strings.Builder
	for _, m := range l.topology.Machines {
		for _, n := range m.NICs {
			if n.Bridge == bridge {
				lines.WriteString(plugLine(n, in))
			}
		}
	}
	if lines.Len() == 0 {
		return fmt.Errorf("no machine is on bridge %q", bridge)
	}
	return ipBatch(ctx, lines.String())
}

// plugLine pulls a NIC's tap out of its bridge, or puts it back. The tap keeps
// its carrier. Setting the state of the bridge port instead cuts as well, but
// the kernel resets it when the machine behind the tap restarts.
func plugLine(n NIC, in bool) string {
	if in {
		return fmt.Sprintf("link set %s master %s\n", tap(n.Address.Addr()), n.Bridge)
	}
	return fmt.Sprintf("link set %s nomaster\n", tap(n.Address.Addr()))
}

// ipBatch runs lines through one `ip` process.
func ipBatch(ctx context.Context, lines string) error {
	_, err := hostCommand(ctx, lines, "ip", "-batch", "-")
	return err
}
