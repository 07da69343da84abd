// SPDX-License-Identifier: Apache-2.0

// Package openiscsi drives the Linux iSCSI initiator: sessions as the kernel
// shows them in sysfs, node and iface records in open-iscsi's database, login
// and logout through iscsiadm.
//
// A session is one iSCSI connection to one portal of a target through one iface
// record (open-iscsi uses one connection a session). A node record is a file that
// tells iscsid how to log in to a portal. An iface record names a network device,
// or leaves the choice to routing. Everything made here belongs to an iface whose
// name begins with Prefix; sessions of other ifaces are somebody else's and are
// never returned.
package openiscsi

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/mallee-io/mallee/internal/command"
)

// Prefix begins the name of each iface record that is ours. The kernel shows the
// name with each session (ifacename), which is how a session is known as ours
// after a restart.
const Prefix = "mallee-"

// DefaultIface leaves the choice of the network device to routing.
const DefaultIface = Prefix + "default"

// Portal is where and how a target is reached.
type Portal struct {
	Target string // IQN
	// Addr is an IPv4 or IPv6 address and a TCP port. A link-local address has a
	// zone if and only if Iface leaves the device to routing.
	Addr  netip.AddrPort
	TPGT  uint16 // target portal group tag (RFC 7143 §4.1)
	Iface string // name of an iface record, with Prefix
}

// String returns the portal's address and port.
func (p Portal) String() string { return p.Addr.String() }

// Initiator is the initiator of this machine. Its methods are safe for
// concurrent use, also beside iscsiadm run by others.
type Initiator struct {
	Run command.Runner
	// Sys, Etc and Lock replace /sys, /etc/iscsi and /run/lock/iscsi in tests.
	Sys, Etc, Lock string

	breaking  sync.Mutex // held while an abandoned lock is removed
	exchanges exchanges
}

func (in *Initiator) sys(elem ...string) string {
	return filepath.Join(append([]string{or(in.Sys, "/sys")}, elem...)...)
}

func (in *Initiator) etc(elem ...string) string {
	return filepath.Join(append([]string{or(in.Etc, "/etc/iscsi")}, elem...)...)
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

var (
	// What becomes a directory's name or a program's argument is held to these.
	targetForm = regexp.MustCompile(`^(iqn|eui|naa)\.[A-Za-z0-9][A-Za-z0-9.:_-]{0,218}$`)
	ifaceForm  = regexp.MustCompile(`^` + Prefix + `[A-Za-z0-9][A-Za-z0-9._-]{0,48}$`)
)

func (p Portal) check() error {
	switch {
	case !targetForm.MatchString(p.Target):
		return fmt.Errorf("%q is no iSCSI target name", p.Target)
	case !ifaceForm.MatchString(p.Iface):
		return fmt.Errorf("%q is no iface record of ours: it must begin with %s", p.Iface, Prefix)
	case strings.HasPrefix(p.Iface, netPrefix) && !deviceForm.MatchString(p.NetDevice()):
		return fmt.Errorf("%q is no iface record of ours: it names no network device", p.Iface)
	case !p.Addr.IsValid() || p.Addr.Port() == 0:
		return fmt.Errorf("%q is no portal address", p.Addr)
	// A zone may hold any character, a slash or a line feed too.
	case p.Addr.Addr().Zone() != "" && !deviceForm.MatchString(p.Addr.Addr().Zone()):
		return fmt.Errorf("%q is no portal address: its zone names no network device", p.Addr)
	}
	return nil
}

// Name returns the initiator name of this machine, from initiatorname.iscsi.
func (in *Initiator) Name() (string, error) {
	file := in.etc("initiatorname.iscsi")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the initiator name: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "InitiatorName="); ok && name != "" {
			return strings.TrimSpace(name), nil
		}
	}
	return "", fmt.Errorf("cannot find a line InitiatorName=… in %s", file)
}
