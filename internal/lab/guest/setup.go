// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

func identify(c Config) error {
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		return err
	}
	// Tools are started with this environment, and find each other by it.
	if err := os.Setenv("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	if err := os.Setenv("HOME", "/root"); err != nil {
		return err
	}
	for path, text := range map[string]string{
		"/etc/hostname":   c.Hostname + "\n",
		"/etc/hosts":      "127.0.0.1 localhost " + c.Hostname + "\n",
		"/etc/machine-id": c.MachineID + "\n",
		// The package's own is made once for the root file system: without
		// this all machines would be one initiator.
		"/etc/iscsi/initiatorname.iscsi": "InitiatorName=" + c.Initiator + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func loadModules(c Config) error {
	// One modprobe for all: a process costs up to 150 ms in a UML machine.
	modules := append([]string{"-a", "configfs"}, c.Modules...)
	if c.Network6 != "" {
		modules = append(modules, "ipv6")
	}
	if err := run(append([]string{"modprobe"}, modules...)...); err != nil {
		return err
	}
	return mount{"none", "/sys/kernel/config", "configfs", 0, ""}.do()
}

func setUpNetwork(c Config) error {
	for path, value := range map[string]string{
		// A machine with two NICs in one subnet must answer ARP for an
		// address on the NIC that has it, and ask with that NIC's address.
		// Otherwise replies move to the neighbour, and cutting one NIC
		// kills no path or two.
		"/proc/sys/net/ipv4/conf/all/arp_ignore":   "1",
		"/proc/sys/net/ipv4/conf/all/arp_announce": "2",
	} {
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return err
		}
	}
	if err := ipBatch(c.Network, "-4"); err != nil || c.Network6 == "" {
		return err
	}
	return ipBatch(c.Network6, "-6")
}

func ipBatch(lines, family string) error {
	cmd := exec.Command("ip", family, "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s -batch: %w: %s", family, err, out)
	}
	return nil
}

func startUdev(Config) error {
	if err := run("/lib/systemd/systemd-udevd", "--daemon"); err != nil {
		return err
	}
	// Only what is of use here: rules start processes, and a machine has many
	// terminals.
	if err := run("udevadm", "trigger", "--action=add", "--subsystem-match=block", "--subsystem-match=misc"); err != nil {
		return err
	}
	return run("udevadm", "settle")
}
