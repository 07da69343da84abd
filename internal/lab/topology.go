// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
)

// Topology says which bridges and machines a lab has.
type Topology struct {
	Bridges  []Bridge
	Machines []MachineSpec
}

// Bridge is one Ethernet: the SAN's management network, or a fabric.
type Bridge struct {
	Name string
	Host netip.Prefix // address of the host side on it; the zero value is none
}

// MachineSpec is one machine.
type MachineSpec struct {
	Name     string
	MemoryMB int
	CPUs     int      // 0 is 1, and so is all else where the backend is uml
	Disks    []int64  // sizes in bytes; Machine.Disk names the devices
	NICs     []NIC    // they are eth0, eth1, ...
	Modules  []string // kernel modules to load at boot
}

// NIC is a network interface with its one address, IPv4 or IPv6. An address has a
// NIC, and so a tap, of its own: what shares a tap cannot be cut alone.
type NIC struct {
	Bridge  string
	Address netip.Prefix
}

const gigabyte = 1 << 30

// Standard is the topology of the demo and of most tests: one storage
// processor with two portals on each of two fabrics, and one node.
func Standard() Topology {
	return Topology{
		Bridges: []Bridge{
			{Name: "mgmt", Host: netip.MustParsePrefix("10.109.1.1/24")},
			{Name: "fab1"},
			{Name: "fab2"},
		},
		Machines: []MachineSpec{
			{
				Name:     "san",
				MemoryMB: 1024,
				Disks:    []int64{8 * gigabyte},
				NICs: []NIC{
					nic("mgmt", "10.109.1.26/24"), nic("mgmt", "10.109.1.27/24"),
					nic("fab1", "10.107.1.200/24"), nic("fab1", "10.107.1.201/24"),
					nic("fab2", "10.108.1.200/24"), nic("fab2", "10.108.1.201/24"),
				},
				Modules: []string{
					"target_core_mod", "target_core_iblock", "target_core_file", "iscsi_target_mod",
					"dm_mod", "dm_thin_pool", "dm_snapshot",
				},
			},
			Node(1),
		},
	}
}

// Node is the machine ncN, an initiator with one address on each bridge of the
// standard topology, which ends in 100+n. n is 1 to 99.
func Node(n int) MachineSpec {
	return MachineSpec{
		Name:     fmt.Sprintf("nc%d", n),
		MemoryMB: 1024,
		NICs: []NIC{
			nic("mgmt", fmt.Sprintf("10.109.1.%d/24", 100+n)),
			nic("fab1", fmt.Sprintf("10.107.1.%d/24", 100+n)),
			nic("fab2", fmt.Sprintf("10.108.1.%d/24", 100+n)),
		},
		Modules: []string{
			"iscsi_tcp", "sd_mod", "sg", "dm_multipath", "dm_service_time", "dm_round_robin", "dm_queue_length",
		},
	}
}

// Wide is Standard with n nodes and more paths to choose from: a fabric fab6 that
// has IPv6 alone, with two portals of the storage processor, and on each node an
// address on it, which ends in 100+n, and a second one on fab1, which ends in 150+n.
func Wide(n int) Topology {
	t := Standard()
	t.Bridges = append(t.Bridges, Bridge{Name: "fab6"})
	san := &t.Machines[0]
	san.NICs = append(san.NICs, nic("fab6", "fd00:10:106::200/64"), nic("fab6", "fd00:10:106::201/64"))
	t.Machines = t.Machines[:1]
	for i := 1; i <= n; i++ {
		node := Node(i)
		node.NICs = append(node.NICs,
			nic("fab1", fmt.Sprintf("10.107.1.%d/24", 150+i)),
			nic("fab6", fmt.Sprintf("fd00:10:106::%d/64", 100+i)))
		t.Machines = append(t.Machines, node)
	}
	return t
}

func nic(bridge, address string) NIC {
	return NIC{Bridge: bridge, Address: netip.MustParsePrefix(address)}
}

var (
	// machineName must be a host name and a file name; UML takes it as umid.
	machineName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	// bridgeName must be an interface name: less than IFNAMSIZ.
	bridgeName = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}$`)
)

// check refuses what could not be built, before anything is.
func (t Topology) check() error {
	bridges := map[string]bool{}
	for _, b := range t.Bridges {
		if !bridgeName.MatchString(b.Name) || b.Name == controlBridge || bridges[b.Name] {
			return fmt.Errorf("bridge %q: not a new name of letters and digits", b.Name)
		}
		bridges[b.Name] = true
	}
	machines := map[string]bool{}
	addresses := map[netip.Addr]bool{}
	taps := map[string]bool{}
	for _, m := range t.Machines {
		if !machineName.MatchString(m.Name) || machines[m.Name] {
			return fmt.Errorf("machine %q: not a new host name", m.Name)
		}
		machines[m.Name] = true
		for _, n := range m.NICs {
			address := n.Address.Addr()
			switch {
			case !bridges[n.Bridge]:
				return fmt.Errorf("machine %s: no bridge %q", m.Name, n.Bridge)
			case !address.IsGlobalUnicast() || address.Is4In6():
				return fmt.Errorf("machine %s: %s is not the address of one machine", m.Name, n.Address)
			case addresses[address]:
				return fmt.Errorf("machine %s: %s is taken", m.Name, address)
			case taps[tap(address)]:
				return fmt.Errorf("machine %s: %s differs from another address in bytes that name no tap", m.Name, address)
			}
			addresses[address], taps[tap(address)] = true, true
		}
	}
	return nil
}

// machineID gives a machine the same /etc/machine-id at every boot.
func (s MachineSpec) machineID() string {
	sum := sha256.Sum256([]byte("mallee lab machine " + s.Name))
	return hex.EncodeToString(sum[:16])
}
