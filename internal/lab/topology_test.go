// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTopologyCheck(t *testing.T) {
	many := Standard()
	for n := 2; n <= 9; n++ {
		many.Machines = append(many.Machines, Node(n))
	}
	machine := func(name string, nics ...NIC) Topology {
		return Topology{Bridges: []Bridge{{Name: "fab1"}}, Machines: []MachineSpec{{Name: name, NICs: nics}}}
	}
	for _, test := range []struct {
		name     string
		topology Topology
		want     string // part of the error; "" is none
	}{
		{"standard", Standard(), ""},
		{"nine nodes", many, ""},
		{"bridge is the control network's", Topology{Bridges: []Bridge{{Name: "ctl"}}}, `bridge "ctl"`},
		{"bridge name too long", Topology{Bridges: []Bridge{{Name: "abcdefghijklmnop"}}}, "abcdefghijklmnop"},
		{"bridge name with a space", Topology{Bridges: []Bridge{{Name: "a b"}}}, `"a b"`},
		{"two bridges of one name", Topology{Bridges: []Bridge{{Name: "a"}, {Name: "a"}}}, `bridge "a"`},
		{"machine name leaves the directory", machine("../x"), `machine "../x"`},
		{"no such bridge", machine("m", nic("fab2", "10.0.0.1/24")), `no bridge "fab2"`},
		{"wide", Wide(3), ""},
		{"IPv6", machine("m", nic("fab1", "fd00::1/64")), ""},
		{"an address of many machines", machine("m", nic("fab1", "ff02::1/64")), "not the address of one machine"},
		{"one tap for two addresses", machine("m", nic("fab1", "fd00::1:0:0:1/64"), nic("fab1", "fd00::2:0:0:1/64")), "bytes that name no tap"},
		{"address taken", machine("m", nic("fab1", "10.0.0.1/24"), nic("fab1", "10.0.0.1/24")), "10.0.0.1 is taken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.topology.check()
			if test.want == "" && err != nil {
				t.Errorf("error is %v", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

// Interface names beyond 15 characters are cut or refused by the kernel.
func TestTapNames(t *testing.T) {
	for address, want := range map[string]string{
		"10.107.1.200":     "tap0a6b01c8",
		"255.255.255.255":  "tapffffffff",
		"fd00:10:106::200": "tap010600000200",
	} {
		if got := tap(netip.MustParseAddr(address)); got != want || len(got) > 15 {
			t.Errorf("tap of %s is %s, want %s", address, got, want)
		}
	}
}

func TestNetworkScripts(t *testing.T) {
	topology := Topology{
		Bridges: []Bridge{{Name: "mgmt", Host: netip.MustParsePrefix("10.109.1.1/24")}, {Name: "fab1"}},
		Machines: []MachineSpec{{
			Name: "san",
			NICs: []NIC{nic("fab1", "10.107.1.200/24"), nic("fab1", "10.107.1.201/24")},
		}},
	}
	for _, test := range []struct{ name, got, want string }{
		{"host", hostNetwork(topology), `
link add ctl type bridge
link set ctl up
address add 10.255.0.1/24 dev ctl
link add mgmt type bridge
link set mgmt up
address add 10.109.1.1/24 dev mgmt
link add fab1 type bridge
link set fab1 up
tuntap add dev tap0aff0002 mode tap
link set tap0aff0002 master ctl up
tuntap add dev tap0a6b01c8 mode tap
link set tap0a6b01c8 master fab1 up
tuntap add dev tap0a6b01c9 mode tap
link set tap0a6b01c9 master fab1 up
`},
		{"host, down", hostNetworkDown(topology), `
link delete tap0aff0002
link delete tap0a6b01c8
link delete tap0a6b01c9
link delete ctl
link delete mgmt
link delete fab1
`},
		{"machine", guestNetwork(topology.Machines[0], controlAddress(0), "vec"), `
link set lo up
link set vec0 name ctl
address add 10.255.0.2/24 dev ctl
link set ctl up
link set vec1 name eth0
address add 10.107.1.200/24 dev eth0
link set eth0 up
rule add from 10.107.1.200 lookup 100
route add 10.107.1.0/24 dev eth0 src 10.107.1.200 table 100
link set vec2 name eth1
address add 10.107.1.201/24 dev eth1
link set eth1 up
rule add from 10.107.1.201 lookup 101
route add 10.107.1.0/24 dev eth1 src 10.107.1.201 table 101
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), test.got); diff != "" {
				t.Errorf("script (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUMLArguments(t *testing.T) {
	spec := MachineSpec{
		Name: "san", MemoryMB: 512, Disks: []int64{gigabyte, gigabyte},
		NICs: []NIC{nic("fab1", "10.107.1.200/24")},
	}
	want := []string{
		"mem=512M", "umid=san", "uml_dir=/run/lab/san",
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/run/lab/boot", "ro",
		"con=null", "con0=null,fd:1", "ssl=null", "quiet", "console=tty0", "panic=-1",
		"ubd0=/run/lab/disks/san/disk0", "ubd1=/run/lab/disks/san/disk1",
		"vec0:transport=tap,ifname=tap0aff0002,mac=02:00:0a:ff:00:02,depth=128,gro=1",
		"vec1:transport=tap,ifname=tap0a6b01c8,mac=02:00:0a:6b:01:c8,depth=128,gro=1",
		"init=/init", "--", "init", "/san.json",
	}
	if diff := cmp.Diff(want, umlArgs(newMachine("/run/lab", spec, controlAddress(0), uml{}))); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

// What changes the contents must change the key; nothing else may.
func TestRootFSKey(t *testing.T) {
	key := rootFSKey([]string{"lvm2", "fio"}, "6.1.1")
	if again := rootFSKey([]string{"lvm2", "fio"}, "6.1.1"); again != key {
		t.Errorf("key is %s, and then %s", key, again)
	}
	for name, other := range map[string]string{
		"packages": rootFSKey([]string{"lvm2"}, "6.1.1"),
		"kernel":   rootFSKey([]string{"lvm2", "fio"}, "6.1.2"),
	} {
		if other == key {
			t.Errorf("other %s, same key", name)
		}
	}
}

func TestMachineIDs(t *testing.T) {
	seen := map[string]string{}
	for n := range 99 {
		spec := Node(n + 1)
		id := spec.machineID()
		if other, ok := seen[id]; ok || len(id) != 32 {
			t.Errorf("ID of %s is %q, and that of %q", spec.Name, id, other)
		}
		seen[id] = spec.Name
	}
}

func TestTail(t *testing.T) {
	for _, test := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""},
		{"a\nb\nc\n", 2, "b\nc"},
		{"a\nb", 5, "a\nb"},
	} {
		t.Run(fmt.Sprintf("%q", test.text), func(t *testing.T) {
			if got := tail(test.text, test.n); got != test.want {
				t.Errorf("tail is %q, want %q", got, test.want)
			}
		})
	}
}
