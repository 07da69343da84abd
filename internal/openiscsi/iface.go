// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// netPrefix begins the names of the iface records that bind to a network device,
// whose name follows.
const netPrefix = Prefix + "net-"

// deviceForm is narrower than the kernel's rule (net/core/dev.c, dev_valid_name):
// the name becomes that of a file and a program's argument. 15 is IFNAMSIZ.
var deviceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)

// Iface returns the name of our iface record for sessions that are bound to a
// network device (SO_BINDTODEVICE), "eth1" say; for none it is DefaultIface.
func Iface(netDevice string) (string, error) {
	switch {
	case netDevice == "":
		return DefaultIface, nil
	case !deviceForm.MatchString(netDevice):
		return "", fmt.Errorf("%q is no name of a network device: "+
			"it must be 1 to 15 letters, digits, '.', '_' or '-', a letter or digit first", netDevice)
	}
	return netPrefix + netDevice, nil
}

// NetDevice returns the network device that sessions through p are bound to; it
// is empty where routing chooses.
func (p Portal) NetDevice() string {
	device, _ := strings.CutPrefix(p.Iface, netPrefix)
	if device == p.Iface {
		return ""
	}
	return device
}

// FindDevice returns an error that names a network device which this machine does
// not have. None is asked for with an empty name.
func (in *Initiator) FindDevice(name string) error {
	if name == "" {
		return nil
	}
	_, err := os.Stat(in.sys("class", "net", name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no network device %s", name)
	}
	return err
}

// ifaceText is the content of an iface record of ours.
func ifaceText(name string) string {
	text := "iface.iscsi_ifacename = " + name + "\n"
	if device := (Portal{Iface: name}).NetDevice(); device != "" {
		text += "iface.net_ifacename = " + device + "\n"
	}
	return text + "iface.transport_name = tcp\n"
}

// RemoveUnusedIfaces removes our iface records for network devices that no node
// record and no session uses.
func (in *Initiator) RemoveUnusedIfaces(ctx context.Context) error {
	if unused, err := in.unusedIfaces(); err != nil || len(unused) == 0 {
		return err
	}
	return in.locked(ctx, in.removeUnusedIfaces)
}

// removeUnusedIfaces is RemoveUnusedIfaces while the lock is held.
func (in *Initiator) removeUnusedIfaces() error {
	unused, err := in.unusedIfaces()
	for _, file := range unused {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove an iface record: %w", err)
		}
	}
	return err
}

// unusedIfaces returns the files of the iface records that can go.
func (in *Initiator) unusedIfaces() ([]string, error) {
	files, err := filepath.Glob(in.etc("ifaces", netPrefix+"*"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	sessions, err := in.Sessions()
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, s := range sessions {
		used[s.Portal.Iface] = true
	}
	var unused []string
	for _, file := range files {
		name := filepath.Base(file)
		if !deviceForm.MatchString(Portal{Iface: name}.NetDevice()) {
			continue // none that we have made, and maybe a pattern
		}
		records, err := filepath.Glob(in.etc("nodes", "*", "*", name))
		if err != nil {
			return nil, err
		}
		if len(records) == 0 && !used[name] {
			unused = append(unused, file)
		}
	}
	return unused, nil
}
