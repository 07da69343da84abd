// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/lab/guest"
)

// qemu boots Debian's own kernel on an emulated PC: what a machine of a user has,
// at a tenth of its speed unless there is KVM. The boot directory is its initramfs.
type qemu struct {
	kvm bool
}

func (qemu) traits() traits {
	return traits{
		name: "qemu", disk: "vd", nic: "eth",
		modules: []string{"virtio_blk", "virtio_net"},
		boot:    5 * time.Minute,
	}
}

func (qemu) kernel(ctx context.Context, _ string, progress io.Writer) (kernel, error) {
	return stockKernel(ctx, progress)
}

// share is a 9p file system, whose source is its name (Documentation/filesystems/9p.rst
// of Linux). What nobody writes to may be cached for good.
func (qemu) share(name, _ string) guest.Share {
	const data = "trans=virtio,version=9p2000.L,msize=262144"
	if name == logShare {
		return guest.Share{Source: name, FSType: "9p", Data: data, Write: true}
	}
	return guest.Share{Source: name, FSType: "9p", Data: data + ",cache=loose"}
}

// The files of this backend in the run directory. What is in the cache has a link
// there, so that who joined the lab can start a machine, too.
func initramfsPath(runDir string) string { return filepath.Join(runDir, "initramfs") }
func kernelPath(runDir string) string    { return filepath.Join(runDir, "vmlinuz") }
func rootFSLink(runDir string) string    { return filepath.Join(runDir, rootShare) }
func modulesLink(runDir string) string   { return filepath.Join(runDir, modulesShare) }

func (qemu) pack(runDir, rootFS string, k kernel) error {
	for link, to := range map[string]string{
		kernelPath(runDir): k.image, rootFSLink(runDir): rootFS, modulesLink(runDir): k.modules,
	} {
		if err := os.Symlink(to, link); err != nil {
			return err
		}
	}
	return writeInitramfs(initramfsPath(runDir), bootDir(runDir))
}

func (q qemu) command(m *Machine) (*exec.Cmd, error) {
	path, err := tool("qemu-system-x86_64")
	if err != nil {
		return nil, err
	}
	return exec.Command(path, q.args(m)...), nil
}

func (q qemu) args(m *Machine) []string {
	accel, cpu := "tcg", "max"
	if q.kvm {
		accel, cpu = "kvm", "host"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
		// A kernel that panics is a machine that is down.
		"-no-reboot",
		"-machine", "pc,accel=" + accel, "-cpu", cpu,
		"-smp", fmt.Sprint(max(m.Spec.CPUs, 1)), "-m", fmt.Sprintf("%dM", m.Spec.MemoryMB),
		"-kernel", kernelPath(m.runDir), "-initrd", initramfsPath(m.runDir),
		"-append", "console=ttyS0 quiet panic=-1 -- init /" + m.Spec.Name + ".json",
	}
	for _, s := range []struct{ name, dir, access string }{
		{rootShare, rootFSLink(m.runDir), "on"},
		{modulesShare, modulesLink(m.runDir), "on"},
		{binShare, binDir(m.runDir), "on"},
		{logShare, m.logDir(), "off"},
	} {
		args = append(args,
			"-fsdev", fmt.Sprintf("local,id=%s,path=%s,security_model=none,readonly=%s", s.name, optionValue(s.dir), s.access),
			"-device", fmt.Sprintf("virtio-9p-pci,fsdev=%s,mount_tag=%s", s.name, s.name))
	}
	for i := range m.Spec.Disks {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,discard=unmap,file=%s", i, optionValue(diskPath(m.runDir, m.Spec.Name, i))),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", i))
	}
	for i, address := range m.addresses() {
		args = append(args,
			"-netdev", fmt.Sprintf("tap,id=nic%d,ifname=%s,script=no,downscript=no", i, tap(address)),
			// It boots from no network, and so needs none of the ROMs for that.
			"-device", fmt.Sprintf("virtio-net-pci,netdev=nic%d,mac=%s,romfile=", i, mac(address)))
	}
	return args
}

// optionValue escapes a value in QEMU's lists of options.
func optionValue(s string) string { return strings.ReplaceAll(s, ",", ",,") }
