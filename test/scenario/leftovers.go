// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"strings"
)

// Leftovers counts what is left of volumes on each machine, by looking at the
// machine and not at anybody's records: sessions, disks, maps and node records
// on the node; exports, backstores and logical volumes on the storage
// processor.
func (c *Cloud) Leftovers(ctx context.Context) (map[string][]string, error) {
	const node = `
for s in /sys/class/iscsi_session/session*; do [ -e "$s" ] && echo "session ${s##*/}"; done
for d in /sys/block/sd*; do [ -e "$d" ] && echo "disk ${d##*/}"; done
for m in /sys/block/dm-*; do [ -e "$m" ] && echo "map $(cat $m/dm/name)"; done
find /etc/iscsi/nodes -type f 2>/dev/null | sed 's/^/record /'
for v in /dev/mallee/*; do [ -L "$v" ] && echo "link $v"; done
grep -v '^#' /etc/multipath/wwids 2>/dev/null | sed 's/^/wwid /'
true`
	const san = `
for l in /sys/kernel/config/target/iscsi/*/tpgt_*/acls/*/lun_*; do [ -e "$l" ] && echo "mapped LUN $l"; done
for l in /sys/kernel/config/target/iscsi/*/tpgt_*/lun/lun_*; do [ -e "$l" ] && echo "LUN $l"; done
for b in /sys/kernel/config/target/core/iblock_*/vol-*; do [ -e "$b" ] && echo "backstore $b"; done
lvs --noheadings -o lv_name ` + vgName + ` | grep vol- | sed 's/^ */logical volume /'
true`
	found := map[string][]string{}
	for m, script := range map[string]string{"nc1": node, "san": san} {
		result, err := c.Lab.Machine(m).Run(ctx, "sh", "-c", script)
		if err != nil {
			return nil, err
		}
		found[m] = []string{}
		for line := range strings.Lines(result.Stdout) {
			found[m] = append(found[m], strings.TrimSpace(line))
		}
	}
	return found, nil
}
