// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQEMUArguments(t *testing.T) {
	spec := MachineSpec{
		Name: "san", MemoryMB: 512, CPUs: 2, Disks: []int64{gigabyte},
		NICs: []NIC{nic("fab1", "10.107.1.200/24")},
	}
	want := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "512M",
		"-kernel", "/run/a,b/vmlinuz", "-initrd", "/run/a,b/initramfs",
		"-append", "console=ttyS0 quiet panic=-1 -- init /san.json",
		"-fsdev", "local,id=rootfs,path=/run/a,,b/rootfs,security_model=none,readonly=on",
		"-device", "virtio-9p-pci,fsdev=rootfs,mount_tag=rootfs",
		"-fsdev", "local,id=modules,path=/run/a,,b/modules,security_model=none,readonly=on",
		"-device", "virtio-9p-pci,fsdev=modules,mount_tag=modules",
		"-fsdev", "local,id=bin,path=/run/a,,b/bin,security_model=none,readonly=on",
		"-device", "virtio-9p-pci,fsdev=bin,mount_tag=bin",
		"-fsdev", "local,id=log,path=/run/a,,b/san/log,security_model=none,readonly=off",
		"-device", "virtio-9p-pci,fsdev=log,mount_tag=log",
		"-drive", "if=none,id=disk0,format=raw,discard=unmap,file=/run/a,,b/disks/san/disk0",
		"-device", "virtio-blk-pci,drive=disk0",
		"-netdev", "tap,id=nic0,ifname=tap0aff0002,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=nic0,mac=02:00:0a:ff:00:02,romfile=",
		"-netdev", "tap,id=nic1,ifname=tap0a6b01c8,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=nic1,mac=02:00:0a:6b:01:c8,romfile=",
	}
	m := newMachine("/run/a,b", spec, controlAddress(0), qemu{})
	if diff := cmp.Diff(want, qemu{}.args(m)); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if got := m.Disk(1); got != "/dev/vdb" {
		t.Errorf("the second disk is %s", got)
	}
}

func TestBackendNamed(t *testing.T) {
	for name, want := range map[string]string{"": "uml", "uml": "uml", "qemu": "qemu"} {
		b, err := backendNamed(name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if got := b.traits().name; got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
	if _, err := backendNamed("xen"); err == nil {
		t.Error("a backend that is not there was chosen")
	}
}
