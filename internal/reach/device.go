// SPDX-License-Identifier: Apache-2.0

package reach

import (
	"cmp"
	"fmt"
	"net"
	"slices"

	"github.com/mallee-io/mallee"
)

// Devices returns the network devices of this machine without the loopback,
// sorted by name, each with its addresses as the kernel lists them.
func Devices() ([]mallee.NetDevice, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the network devices: %w", err)
	}
	var list []mallee.NetDevice
	for _, d := range all {
		if d.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := d.Addrs()
		if err != nil {
			return nil, fmt.Errorf("cannot list the addresses of %s: %w", d.Name, err)
		}
		n := mallee.NetDevice{Name: d.Name, Up: linkProblem(d) == ""}
		for _, a := range addresses {
			n.Addresses = append(n.Addresses, a.String())
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b mallee.NetDevice) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// findDevice returns the first device that is meant, and whether there is one.
// net.InterfaceByName does not tell a device that is not there from a failure.
func findDevice(meant func(net.Interface) bool) (d net.Interface, found bool, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return net.Interface{}, false, fmt.Errorf("cannot list the network devices: %w", err)
	}
	i := slices.IndexFunc(all, meant)
	if i < 0 {
		return net.Interface{}, false, nil
	}
	return all[i], true, nil
}

// linkProblem returns why nothing can go through d, or "". A device is running
// when it has its carrier (net/core/dev.c, dev_get_flags); one that has been told
// to be up may have none.
func linkProblem(d net.Interface) string {
	switch {
	case d.Flags&net.FlagUp == 0:
		return d.Name + " is down"
	case d.Flags&net.FlagRunning == 0:
		return d.Name + " has no carrier"
	}
	return ""
}
