// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// Nodes returns all nodes that have joined, in the order of their names.
func (c *Controller) Nodes(ctx context.Context) ([]mallee.Node, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return nil, err
	}
	list := make([]mallee.Node, 0, len(v.nodes))
	for name, r := range v.nodes {
		m := v.members[memberID(mallee.RoleNC, name)]
		n := mallee.Node{
			InstanceID: r.InstanceID, Name: name, Partition: r.Partition, Initiator: r.Initiator,
			Tags: v.tags[string(r.InstanceID)], Joined: m.Joined, CertificateEnds: m.Ends,
		}
		if n.Live, n.Seen = c.presence.node(name); n.Live {
			n.Seen = time.Now().UTC()
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b mallee.Node) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// admit returns the record of a node that connects, with the initiator name that
// the node now has.
func (c *Controller) admit(ctx context.Context, id rpc.Identity, initiator mallee.IQN) (r nodeRecord, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		// It was let in as a member, and may have been removed since: its record
		// would come back, and keep the initiator name from others.
		m, found, err := members.Get(tx, memberID(id.Role, id.Name))
		if err == nil {
			err = m.of(id, found)
		}
		if err == nil {
			r, err = c.putNode(ctx, tx, "admit node", id.Name, id.Partition, initiator)
		}
		return err
	})
	return r, err
}

// putNode makes a node known, or changes what is known of it: it gets an instance
// id when it first joins, and the same one ever after.
func (c *Controller) putNode(ctx context.Context, tx *store.Tx, op, name, partition string, initiator mallee.IQN) (nodeRecord, error) {
	if !initiator.Valid() {
		return nodeRecord{}, refuse(op, mallee.Invalid, name, "initiator name %q is no iqn name in lower case", initiator)
	}
	owner, taken, err := initiators.Get(tx, string(initiator))
	if err != nil {
		return nodeRecord{}, err
	}
	// Two machines with one initiator name are one to the SAN: each would
	// have the volumes of the other. Images that are copied do this.
	if taken && owner.Node != name {
		return nodeRecord{}, &mallee.Error{
			Op: op, Kind: mallee.InUse, ID: name,
			Hint: "give this machine a name of its own in /etc/iscsi/initiatorname.iscsi (iscsi-iname makes one), restart iscsid and then the node controller",
			Err:  fmt.Errorf("its initiator name %s belongs to node %s", initiator, owner.Node),
		}
	}
	r, known, err := nodes.Get(tx, name)
	if err != nil {
		return nodeRecord{}, err
	}
	if known && r.Initiator == initiator && r.Partition == partition && r.CHAP.Username != "" {
		return r, nil
	}
	if !known {
		r.InstanceID = mallee.NewInstanceID()
	}
	if known && (r.Initiator != initiator || r.Partition != partition) {
		v, err := readView(ctx, c.store)
		if err != nil {
			return nodeRecord{}, err
		}
		if len(v.byInstance[r.InstanceID]) > 0 {
			return nodeRecord{}, &mallee.Error{
				Op: op, Kind: mallee.InUse, ID: name,
				Hint: "go back to the former initiator name and partition, or detach its volumes first",
				Err:  fmt.Errorf("volumes are attached to it as %s in partition %s", r.Initiator, r.Partition),
			}
		}
		if err := initiators.Delete(tx, string(r.Initiator)); err != nil {
			return nodeRecord{}, err
		}
	}
	r.Partition, r.Initiator = partition, initiator
	if r.CHAP.Username == "" {
		r.CHAP = newCHAP(r.InstanceID, rand.Read)
	}
	if err := initiators.Put(tx, string(initiator), initiatorRecord{Node: name}); err != nil {
		return nodeRecord{}, err
	}
	return r, nodes.Put(tx, name, r)
}

// newCHAP returns a secret of 96 bits that read has drawn, the least that RFC 7143
// §12.1.4 asks for, in the 16 characters that some implementations have as their
// limit. One that begins with NULL is drawn again: the kernel's target takes it for
// none at all, and the node could never log in.
func newCHAP(id mallee.InstanceID, read func([]byte) (int, error)) mallee.CHAP {
	for {
		var random [12]byte
		_, _ = read(random[:]) // crypto/rand's never fails.
		password := base64.RawURLEncoding.EncodeToString(random[:])
		if !strings.HasPrefix(password, "NULL") {
			return mallee.CHAP{Username: string(id), Password: password}
		}
	}
}

// RemoveNode forgets a node that has no volumes: its certificate is no longer
// accepted, and its initiator name is free for another.
func (c *Controller) RemoveNode(ctx context.Context, instance mallee.InstanceID) error {
	const op = "remove"
	if !instance.Valid() {
		return refuse(op, mallee.Malformed, string(instance), "an instance id is i- and 8 or 17 hexadecimal digits")
	}
	var name string
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		v, err := readView(ctx, c.store)
		if err != nil {
			return err
		}
		name = v.instances[instance]
		if name == "" {
			return refuse(op, mallee.NotFound, string(instance), "there is no such instance")
		}
		// Every attachment to the node rewrites its record: what is made from here
		// on makes this transaction be tried again.
		r, found, err := nodes.Get(tx, name)
		if err != nil {
			return err
		}
		if !found || r.InstanceID != instance {
			return refuse(op, mallee.NotFound, string(instance), "there is no such instance")
		}
		if v, err = readView(ctx, c.store); err != nil {
			return err
		}
		if attached := v.byInstance[instance]; len(attached) > 0 {
			return &mallee.Error{
				Op: op, Kind: mallee.InUse, ID: string(instance), Hint: "detach them first",
				Err: fmt.Errorf("volumes are attached to it: %s", strings.Join(attached, ", ")),
			}
		}
		if err := initiators.Delete(tx, string(r.Initiator)); err != nil {
			return err
		}
		if err := members.Delete(tx, memberID(mallee.RoleNC, name)); err != nil {
			return err
		}
		if err := tagSets.Delete(tx, string(instance)); err != nil {
			return err
		}
		return nodes.Delete(tx, name)
	})
	if err == nil {
		c.log.InfoContext(ctx, "node removed", "node", name, "instance_id", instance)
	}
	return err
}
