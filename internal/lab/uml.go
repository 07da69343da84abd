// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// uml boots user-mode-linux: a Linux kernel that is an ordinary process.
type uml struct{}

func (uml) command(m *Machine) (*exec.Cmd, error) {
	path, err := tool("linux.uml")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, umlArgs(m)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+memoryDir(m.runDir))
	return cmd, nil
}

func umlArgs(m *Machine) []string {
	args := []string{
		fmt.Sprintf("mem=%dM", m.Spec.MemoryMB),
		"umid=" + m.Spec.Name,
		"uml_dir=" + m.dir(),
		"root=/dev/root", "rootfstype=hostfs", "rootflags=" + filepath.Join(m.runDir, "boot"), "ro",
		"con=null", "con0=null,fd:1", "ssl=null", "quiet",
		// UML would append this itself: after "--", to init's arguments.
		"console=tty0",
		// A kernel that panics is a machine that is down.
		"panic=-1",
	}
	for i := range m.Spec.Disks {
		args = append(args, fmt.Sprintf("ubd%d=%s", i, diskPath(m.runDir, m.Spec.Name, i)))
	}
	addNIC := func(i int, tap, mac string) {
		args = append(args, fmt.Sprintf("vec%d:transport=tap,ifname=%s,mac=%s,depth=128,gro=1", i, tap, mac))
	}
	addNIC(0, tap(m.control), mac(m.control))
	for i, n := range m.Spec.NICs {
		addNIC(i+1, tap(n.Address.Addr()), mac(n.Address.Addr()))
	}
	return append(args, "init=/init", "--", "init", "/"+m.Spec.Name+".json")
}
