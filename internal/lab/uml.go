// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mallee-io/mallee/internal/lab/guest"
)

// uml boots user-mode-linux: a Linux kernel that is an ordinary process.
type uml struct{}

func (uml) traits() traits {
	// It boots in a few seconds on an idle host.
	return traits{name: "uml", disk: "ubd", nic: "vec", boot: 2 * time.Minute}
}

func (uml) kernel(ctx context.Context, rootFS string, _ io.Writer) (kernel, error) {
	version, err := umlVersion(ctx)
	if err != nil {
		return kernel{}, err
	}
	return kernel{boot: []string{filepath.Join(rootFS, "lib/modules", version, "kernel/fs/overlayfs/overlay.ko")}}, nil
}

// share is hostfs, which takes the directory for its data.
func (uml) share(name, dir string) guest.Share {
	return guest.Share{Source: "none", FSType: "hostfs", Data: dir, Write: name == logShare}
}

func (uml) pack(string, string, kernel) error { return nil }

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
		"root=/dev/root", "rootfstype=hostfs", "rootflags=" + bootDir(m.runDir), "ro",
		"con=null", "con0=null,fd:1", "ssl=null", "quiet",
		// UML would append this itself: after "--", to init's arguments.
		"console=tty0",
		// A kernel that panics is a machine that is down.
		"panic=-1",
	}
	for i := range m.Spec.Disks {
		args = append(args, fmt.Sprintf("ubd%d=%s", i, diskPath(m.runDir, m.Spec.Name, i)))
	}
	for i, address := range m.addresses() {
		args = append(args, fmt.Sprintf("vec%d:transport=tap,ifname=%s,mac=%s,depth=128,gro=1", i, tap(address), mac(address)))
	}
	return append(args, "init=/init", "--", "init", "/"+m.Spec.Name+".json")
}
