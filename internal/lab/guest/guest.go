// SPDX-License-Identifier: Apache-2.0

// Package guest is what runs as PID 1 in a machine of the lab.
//
// A machine boots with a nearly empty boot directory as its root, or with a copy of
// it in its memory: only the init binary, one Config a machine, mount points and the
// kernel modules that it takes to mount more. Init stacks a private overlay on the
// shared root file system, moves into it, brings up kernel modules, NICs and udev, and
// then starts the exec agent and reaps orphans. All that it changes is gone when the
// machine stops; only disks are kept.
package guest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Config is what init must know of its machine. The lab writes it as
// MACHINE.json into the boot directory.
type Config struct {
	Hostname  string
	MachineID string   // 32 hex digits, for /etc/machine-id
	Initiator string   // iSCSI name of this machine's initiator
	Modules   []string // kernel modules to load, in modprobe's words
	// BootModules are the modules to load before anything is mounted: files in the
	// boot directory, in this order.
	BootModules []string
	Network     string // input of `ip -batch`: NICs, addresses, routes
	Network6    string // input of `ip -6 -batch`, or empty on a machine without IPv6
	Agent       string // address:port the exec agent listens on

	RootFS        Share  // lower layer of /
	KernelModules *Share // the kernel's directory of modules, unless that is in RootFS
	Binaries      Share  // /usr/local/bin
	Log           Share  // /var/log; kept, and readable when the machine is dead
}

// Share is a directory of the host, as mount(2) takes it.
type Share struct {
	Source, FSType, Data string
	Write                bool
}

// Main is init: it sets the machine up as the configuration at path says, runs
// this executable as `agent ADDRESS`, and reaps what is orphaned. It does not
// return; when a step fails, it says so on the console and powers off.
func Main(path string) {
	c, err := readConfig(path)
	if err == nil {
		err = boot(c)
	}
	if err == nil {
		err = startPulse()
	}
	if err == nil {
		err = supervise("agent", c.Agent)
	}
	fmt.Fprintf(os.Stderr, "lab init: %v\n", err)
	unix.Sync()
	// Returning from PID 1 would be a kernel panic.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func readConfig(path string) (Config, error) {
	var c Config
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return Config{}, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return c, nil
}

func boot(c Config) error {
	for _, step := range []struct {
		name string
		do   func(Config) error
	}{
		{"load the modules that the root needs", loadBootModules},
		{"mount root", mountRoot},
		{"name the machine", identify},
		{"load modules", loadModules},
		{"set up the network", setUpNetwork},
		{"start udev", startUdev},
	} {
		if err := step.do(c); err != nil {
			return fmt.Errorf("cannot %s: %w", step.name, err)
		}
	}
	return nil
}

// supervise starts the agent as a child, so that the agent may wait for its
// own processes while PID 1 waits for whatever is orphaned.
func supervise(agent ...string) error {
	cmd := exec.Command("/proc/self/exe", agent...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot reap: %w", err)
		}
		if pid == cmd.Process.Pid {
			return fmt.Errorf("the agent ended with status %#x", uint32(status))
		}
	}
}

// run runs a tool of the root file system; its output goes to the console.
// There is no caller to give a deadline: the lab has one for the whole boot.
func run(argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}
