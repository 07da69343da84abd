// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"fmt"
	"strings"
)

// ContentSize is how much of a volume's beginning Content uses, in bytes.
const ContentSize = 160 << 20

// Content writes to a device what tempts a host: a GPT with an LVM physical
// volume, whose volume group holds a logical volume, in the first partition, and
// half of an MD mirror in the second. It is made in a file first, as a guest
// would make it, out of sight of the host.
func (c *Cloud) Content(ctx context.Context, device string) error {
	const script = `
modprobe loop; modprobe raid1 || modprobe md_mod || true
truncate -s "$2" /tmp/guest.img
sgdisk -n 1:2048:+64M -t 1:8e00 -n 2:0:+64M -t 2:fd00 /tmp/guest.img >/dev/null
part1=$(losetup -f --show -o 1048576 --sizelimit 67108864 /tmp/guest.img)
pvcreate -q "$part1"
vgcreate -q guestvg "$part1"
lvcreate -q -n guestlv -l 4 guestvg
vgchange -q -an guestvg
losetup -d "$part1"
part2=$(losetup -f --show -o 68157440 --sizelimit 67108864 /tmp/guest.img)
mdadm --create /dev/md9 --run --level=1 --raid-devices=2 --metadata=1.2 "$part2" missing
mdadm --stop /dev/md9
losetup -d "$part2"
dd if=/tmp/guest.img of="$1" bs=1M conv=fsync oflag=direct status=none
rm /tmp/guest.img
`
	_, err := c.NC1.Run(ctx, "sh", "-ec", script, "sh", device, fmt.Sprint(ContentSize))
	return err
}

// Opened tells what the node or the storage processor has opened of what is
// inside volumes: partitions, logical volumes of a guest, MD arrays.
func (c *Cloud) Opened(ctx context.Context) ([]string, error) {
	const script = `
for p in /sys/block/sd*/sd*; do [ -e "$p" ] && echo "partition ${p##*/}"; done
for m in /sys/block/dm-*/dm; do [ -e "$m" ] && case $(cat $m/uuid) in part*|LVM-*) echo "map $(cat $m/name) $(cat $m/uuid)";; esac; done
grep ^md /proc/mdstat 2>/dev/null
pvs --noheadings -o pv_name,vg_name 2>/dev/null | sed 's/^ */physical volume /'
true`
	var opened []string
	for _, m := range c.Lab.Machines() {
		result, err := m.Run(ctx, "sh", "-c", script)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(result.Stdout) {
			line = strings.Join(strings.Fields(line), " ")
			// The storage processor's own: its pool, the volumes in it, its disk.
			if m == c.SAN && (strings.HasPrefix(line, "map "+vgName+"-") || line == "physical volume /dev/ubda "+vgName) {
				continue
			}
			opened = append(opened, m.Spec.Name+": "+line)
		}
	}
	return opened, nil
}
