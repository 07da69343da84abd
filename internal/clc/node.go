// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
)

// Nodes returns all nodes that have ever connected, in the order of their names.
func (c *Controller) Nodes(ctx context.Context) ([]mallee.Node, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return nil, err
	}
	list := make([]mallee.Node, 0, len(v.nodes))
	for name, r := range v.nodes {
		n := mallee.Node{InstanceID: r.InstanceID, Name: name, Partition: r.Partition, Initiator: r.Initiator, Tags: v.tags[string(r.InstanceID)]}
		if n.Live, n.Seen = c.presence.node(name); n.Live {
			n.Seen = time.Now().UTC()
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b mallee.Node) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// admit makes a node known: it gets an instance id at its first connection, and
// the same one ever after.
func (c *Controller) admit(ctx context.Context, name, partition string, initiator mallee.IQN) (nodeRecord, error) {
	const op = "admit node"
	if !mallee.ValidPartition(partition) {
		return nodeRecord{}, refuse(op, mallee.Invalid, name, "partition %q: write a letter, then up to 62 letters, digits, '_' and '-'", partition)
	}
	if !initiator.Valid() {
		return nodeRecord{}, refuse(op, mallee.Invalid, name, "initiator name %q is no iqn name in lower case", initiator)
	}
	var r nodeRecord
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		owner, taken, err := initiators.Get(tx, string(initiator))
		if err != nil {
			return err
		}
		// Two machines with one initiator name are one to the SAN: each would
		// have the volumes of the other. Images that are copied do this.
		if taken && owner.Node != name {
			return &mallee.Error{
				Op: op, Kind: mallee.InUse, ID: name,
				Hint: "give this machine a name of its own in /etc/iscsi/initiatorname.iscsi (iscsi-iname makes one), restart iscsid and then the node controller",
				Err:  fmt.Errorf("its initiator name %s belongs to node %s", initiator, owner.Node),
			}
		}
		var known bool
		if r, known, err = nodes.Get(tx, name); err != nil {
			return err
		}
		if known && r.Initiator == initiator && r.Partition == partition {
			return nil
		}
		if known {
			v, err := readView(ctx, c.store)
			if err != nil {
				return err
			}
			if len(v.byInstance[r.InstanceID]) > 0 {
				return &mallee.Error{
					Op: op, Kind: mallee.InUse, ID: name,
					Hint: "go back to the former initiator name and partition, or detach its volumes first",
					Err:  fmt.Errorf("volumes are attached to it as %s in partition %s", r.Initiator, r.Partition),
				}
			}
			if err := initiators.Delete(tx, string(r.Initiator)); err != nil {
				return err
			}
		} else {
			r.InstanceID = mallee.NewInstanceID()
		}
		r.Partition, r.Initiator = partition, initiator
		if err := initiators.Put(tx, string(initiator), initiatorRecord{Node: name}); err != nil {
			return err
		}
		return nodes.Put(tx, name, r)
	})
	return r, err
}
