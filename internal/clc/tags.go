// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"maps"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
)

// SetTags gives volumes and instances, named by their ids, tags that
// mallee.CheckTag accepts. A tag whose key is there already gets the new value.
// None is changed unless all are.
func (c *Controller) SetTags(ctx context.Context, ids []string, tags map[string]string) error {
	const op = "tag"
	for key, value := range tags {
		if err := mallee.CheckTag(key, value); err != nil {
			return &mallee.Error{Op: op, Kind: mallee.Invalid, ID: strings.Join(ids, ", "), Err: err}
		}
	}
	return c.changeTags(ctx, op, ids, func(id string, r tagRecord) error {
		maps.Copy(r, tags)
		if len(r) > mallee.MaxTags {
			return refuse(op, mallee.TooMany, id, "it would have %d tags and may have %d", len(r), mallee.MaxTags)
		}
		return nil
	})
}

// ClearTags takes the tags that drop accepts away from volumes and instances,
// named by their ids: from none unless from all. Drop may be called repeatedly.
func (c *Controller) ClearTags(ctx context.Context, ids []string, drop func(key, value string) bool) error {
	return c.changeTags(ctx, "untag", ids, func(_ string, r tagRecord) error {
		maps.DeleteFunc(r, drop)
		return nil
	})
}

func (c *Controller) changeTags(ctx context.Context, op string, ids []string, change func(id string, r tagRecord) error) error {
	v, err := readView(ctx, c.store)
	if err != nil {
		return err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if err := c.findTagged(tx, op, v, id); err != nil {
				return err
			}
			have, _, err := tagSets.Get(tx, id)
			if err != nil {
				return err
			}
			r := tagRecord{}
			maps.Copy(r, have)
			if err := change(id, r); err != nil {
				return err
			}
			if len(r) == 0 {
				err = tagSets.Delete(tx, id)
			} else {
				err = tagSets.Put(tx, id, r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.log.InfoContext(ctx, "tags changed", "resource_ids", ids)
	}
	return err
}

// findTagged refuses an id that no volume and no instance has.
func (c *Controller) findTagged(tx *store.Tx, op string, v *view, id string) error {
	if strings.HasPrefix(id, "i-") {
		name, _, found := v.node(mallee.InstanceID(id))
		if found {
			_, stays, err := nodes.Get(tx, name)
			if err != nil {
				return err
			}
			found = stays
		}
		if !found {
			return refuse(op, mallee.NotFound, id, "there is no such instance")
		}
		return nil
	}
	_, err := getVolume(tx, op, mallee.VolumeID(id))
	return err
}
