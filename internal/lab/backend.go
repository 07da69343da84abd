// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/mallee-io/mallee/internal/lab/guest"
)

// The environment chooses the backend: uml, which is the default, or qemu, and
// whether QEMU may use KVM. It is not used unasked: on some machines /dev/kvm opens
// and a guest then hangs in its firmware.
const (
	backendKey = "LAB_BACKEND"
	kvmKey     = "LAB_KVM"
)

// backend is the seam between the ways to run a machine.
type backend interface {
	traits() traits
	// kernel returns what machines boot, and gets it first when it is not in the
	// cache, which may need the network. rootFS is RootFS's directory.
	kernel(ctx context.Context, rootFS string, progress io.Writer) (kernel, error)
	// share returns how machines mount a directory of the host. Its name is one of
	// those below.
	share(name, dir string) guest.Share
	// pack readies the run directory for the first boot. The boot directory in it is
	// complete.
	pack(runDir, rootFS string, k kernel) error
	// command returns the process that is the machine, not yet started. It must be
	// the machine's only parent and must end with it.
	command(m *Machine) (*exec.Cmd, error)
}

// The directories of the host that machines mount.
const (
	rootShare    = "rootfs"
	modulesShare = "modules"
	binShare     = "bin"
	logShare     = "log" // the one that is written to
)

// traits tell in what the machines of a backend differ.
type traits struct {
	name    string        // what LAB_BACKEND says
	disk    string        // what the kernel calls a disk, without its letter
	nic     string        // what the kernel calls a NIC, without its number
	modules []string      // drivers of disks and NICs
	boot    time.Duration // the most from power-on until the agent answers
}

// kernel is what a machine boots.
type kernel struct {
	image   string   // file; empty when the backend itself is the kernel
	modules string   // its directory lib/modules/RELEASE; empty when that is in the root file system
	boot    []string // files of the modules that it takes to mount the root, in the order of loading
}

// chosenBackend is the one that the environment names.
func chosenBackend() (backend, error) { return backendNamed(os.Getenv(backendKey)) }

func backendNamed(name string) (backend, error) {
	switch name {
	case "", uml{}.traits().name:
		return uml{}, nil
	case qemu{}.traits().name:
		return qemu{kvm: os.Getenv(kvmKey) == "1"}, nil
	}
	return nil, fmt.Errorf("%s is %q: want uml or qemu", backendKey, name)
}
