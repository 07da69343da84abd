// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"strings"
)

// ContentSize is how much of a volume's beginning Content uses, in bytes.
const ContentSize = 160 << 20

// ownLoops keeps the host's udev from the loop devices in which a guest's disk is
// made. They are no volumes: Debian's rules would activate and assemble what is in
// them, unless they are told with device mapper's flag to keep off.
const ownLoops = `
modprobe loop
mkdir -p /run/udev/rules.d
echo 'KERNEL=="loop*", ENV{SYSTEMD_READY}="0", ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}="1"' >/run/udev/rules.d/00-guest.rules
udevadm control --reload
# losetup -d of a loop that somebody has open, udev say, only marks it; until it
# is gone its host would find the guest's disk in it.
release() {
	losetup -d "$1"
	for try in $(seq 100); do
		losetup -n -O NAME | grep -qx "$1" || return 0
		sleep 0.1
	done
	echo "$1 is held: $(ls /sys/block/${1#/dev/}/holders) $(ls -l /proc/[0-9]*/fd 2>/dev/null | grep "$1")" >&2
	return 1
}
`

// Content writes to a device what tempts a host: a GPT with an LVM physical
// volume, whose volume group holds a logical volume, in the first partition, and
// half of an MD mirror in the second. It is made in a file first, as a guest
// would make it, out of sight of the host.
func (c *Cloud) Content(ctx context.Context, device string) error {
	const script = ownLoops + `
modprobe raid1
truncate -s "$2" /tmp/guest.img
sgdisk -n 1:2048:+64M -t 1:8e00 -n 2:0:+64M -t 2:fd00 /tmp/guest.img >/dev/null
part1=$(losetup -f --show -o 1048576 --sizelimit 67108864 /tmp/guest.img)
pvcreate -q "$part1"
vgcreate -q guestvg "$part1"
lvcreate -q -an -Zn -n guestlv -l 4 guestvg
release "$part1"
part2=$(losetup -f --show -o 68157440 --sizelimit 67108864 /tmp/guest.img)
mdadm --create /dev/md9 --run --level=1 --raid-devices=2 --metadata=1.2 "$part2" missing
mdadm --stop /dev/md9
release "$part2"
dd if=/tmp/guest.img of="$1" bs=1M conv=fsync oflag=direct status=none
rm /tmp/guest.img
`
	_, err := c.NC1.Run(ctx, "sh", "-ec", script, "sh", device, fmt.Sprint(ContentSize))
	return err
}

// WholeDiskPV makes the whole of a device an LVM physical volume, with a volume
// group and a logical volume, out of sight of the host as well.
func (c *Cloud) WholeDiskPV(ctx context.Context, device string) error {
	const script = ownLoops + `
truncate -s 64M /tmp/guest.img
disk=$(losetup -f --show /tmp/guest.img)
pvcreate -q "$disk"
vgcreate -q wholevg "$disk"
lvcreate -q -an -Zn -n wholelv -l 4 wholevg
release "$disk"
dd if=/tmp/guest.img of="$1" bs=1M conv=fsync oflag=direct status=none
rm /tmp/guest.img
`
	_, err := c.NC1.Run(ctx, "sh", "-ec", script, "sh", device)
	return err
}

// Opened tells what the node or the storage processor has opened of what is
// inside volumes, or would open if an admin asked LVM to: partitions, physical
// and logical volumes of a guest, MD arrays.
func (c *Cloud) Opened(ctx context.Context) ([]string, error) {
	const script = `
for p in /sys/block/sd*/sd*; do if [ -e "$p" ]; then echo "partition ${p##*/}"; fi; done
vgchange -q -ay >/dev/null 2>&1 || true
for m in /sys/block/dm-*/dm; do
	if [ -e "$m" ]; then case $(cat $m/uuid) in part*|LVM-*) echo "map $(cat $m/name)";; esac; fi
done
if [ -e /proc/mdstat ]; then sed -n '/^md/p' /proc/mdstat; fi
physical=$(pvs --noheadings --separator , -o pv_name,vg_name)
for p in $physical; do echo "physical volume $p"; done`
	var opened []string
	for _, m := range c.Lab.Machines() {
		result, err := m.Run(ctx, "sh", "-ec", script)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(result.Stdout) {
			line = strings.TrimSpace(line)
			// The storage processor's own: its pool, the volumes in it, its disk.
			if m == c.SAN && (strings.HasPrefix(line, "map "+vgName+"-") || line == "physical volume "+c.SAN.Disk(0)+","+vgName) {
				continue
			}
			opened = append(opened, m.Spec.Name+": "+line)
		}
	}
	return opened, nil
}
