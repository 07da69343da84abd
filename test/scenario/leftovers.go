// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"strings"
)

// Leftovers counts what is left of volumes on each machine, by looking at the
// machine and not at anybody's records: sessions, disks, maps and node records
// on the nodes; exports, backstores and logical volumes on the storage
// processor. Only the LUNs that it keeps from other volumes, until their nodes have
// let go, stand nowhere but in its record.
func (c *Cloud) Leftovers(ctx context.Context) (map[string][]string, error) {
	const node = `
for s in /sys/class/iscsi_session/session*; do if [ -e "$s" ]; then echo "session ${s##*/}"; fi; done
for d in /sys/block/sd*; do if [ -e "$d" ]; then echo "disk ${d##*/}"; fi; done
for m in /sys/block/dm-*; do if [ -e "$m" ]; then echo "map $(cat $m/dm/name)"; fi; done
if [ -d /etc/iscsi/nodes ]; then find /etc/iscsi/nodes -type f | sed 's/^/record /'; fi
for v in /dev/mallee/*; do if [ -L "$v" ]; then echo "link $v"; fi; done
if [ -e /etc/multipath/wwids ]; then sed -n '/^[^#]/s/^/wwid /p' /etc/multipath/wwids; fi`
	const san = `
for l in /sys/kernel/config/target/iscsi/*/tpgt_*/acls/*/lun_*; do if [ -e "$l" ]; then echo "mapped LUN $l"; fi; done
for l in /sys/kernel/config/target/iscsi/*/tpgt_*/lun/lun_*; do if [ -e "$l" ]; then echo "LUN $l"; fi; done
for b in /sys/kernel/config/target/core/iblock_*/vol-*; do if [ -e "$b" ]; then echo "backstore $b"; fi; done
volumes=$(lvs --noheadings -o lv_name ` + vgName + `)
for v in $volumes; do case $v in vol-*) echo "logical volume $v";; esac; done
kept=/var/lib/mallee/sp/exports.json
if [ -e $kept ]; then sed -n '/"retired": \[$/,/\]/s/.*"lun": /retired LUN /p' $kept; fi`
	found := map[string][]string{}
	scripts := map[string]string{"san": san}
	for _, n := range c.Nodes {
		scripts[n.Spec.Name] = node
	}
	for m, script := range scripts {
		result, err := c.Lab.Machine(m).Run(ctx, "sh", "-ec", script)
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
