// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"errors"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// setTries bounds how often a set is planned anew because another was quicker.
const setTries = 10

// errOvertaken ends a set that was planned and judged for values which have
// changed meanwhile.
var errOvertaken = errors.New("somebody else is changing the properties of the same partition")

// SetProperties sets and resets properties, of several partitions too, all or none,
// and returns what changed, in the order of sets. A property that has the value
// already is no error. Agents that are connected are sent the new values at once;
// of paths, as the rollout has it.
//
// A change that would leave a machine with too few paths is refused with kind
// PathsUnreachable, or told as a warning if it is forced.
func (c *Controller) SetProperties(ctx context.Context, sets []mallee.PropertySet, force bool) (changes []mallee.PropertyChange, warnings []string, err error) {
	for range setTries {
		changes, warnings, err = c.trySet(ctx, sets, force)
		if !errors.Is(err, errOvertaken) {
			return changes, warnings, err
		}
	}
	return nil, nil, &mallee.Error{Op: "set", Kind: mallee.Unavailable, ID: sets[0].Name, Err: err, Hint: "try again"}
}

func (c *Controller) trySet(ctx context.Context, sets []mallee.PropertySet, force bool) ([]mallee.PropertyChange, []string, error) {
	v, err := readView(ctx, c.store)
	if err != nil {
		return nil, nil, err
	}
	steps, err := v.plan(sets)
	if err != nil {
		return nil, nil, err
	}
	forced, warnings, err := c.judge(ctx, v, steps, force)
	if err != nil {
		return nil, nil, err
	}
	if err := c.take(ctx, v, steps, forced); err != nil {
		return nil, nil, err
	}
	var changes []mallee.PropertyChange
	for _, s := range steps {
		change := s.change()
		changes = append(changes, change)
		c.log.InfoContext(ctx, "property set", "property", change.Name, "value", change.Value, "old_value", change.OldValue,
			"changed", s.value != s.old, "forced", forced[s.partition], "access_key", telemetry.AccessKey(ctx))
	}
	return changes, warnings, nil
}

// judge has the steps judged for each partition that they change, and tells which
// of these must be forced.
func (c *Controller) judge(ctx context.Context, v *view, steps []step, force bool) (forced map[string]bool, warnings []string, err error) {
	after := map[string]map[string]string{}
	for _, s := range steps {
		if s.value == s.old {
			continue
		}
		if after[s.partition] == nil {
			after[s.partition] = v.settings(s.partition)
		}
		after[s.partition][s.definition.Name] = s.value
	}
	// Side by side: a machine that is silent in each would take more time than a
	// call of the API has.
	names := slices.Sorted(maps.Keys(after))
	told, refusals := make([][]string, len(names)), make([]error, len(names))
	var judging errgroup.Group
	judging.SetLimit(maxChecks / 2)
	for i, partition := range names {
		judging.Go(func() error {
			told[i], refusals[i] = c.judgePaths(ctx, v, partition, v.settings(partition), after[partition])
			return nil
		})
	}
	_ = judging.Wait() // none fails
	forced = map[string]bool{}
	for i, partition := range names {
		err := refusals[i]
		if err != nil && (!force || mallee.KindOf(err) == mallee.Internal) { // the latter has no words for people
			return nil, nil, err
		}
		warnings = append(warnings, told[i]...)
		if err != nil {
			forced[partition] = true
			if e, ok := errors.AsType[*mallee.Error](err); ok {
				err = e.Err // without the hint to force it
			}
			warnings = append(warnings, err.Error())
		}
	}
	return forced, warnings, nil
}

// take writes the steps and the events that tell of them, provided that no
// property of their partitions has changed since v.
func (c *Controller) take(ctx context.Context, v *view, steps []step, forced map[string]bool) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		for _, s := range steps {
			r, found, err := partitions.Get(tx, s.partition)
			if err != nil {
				return err
			}
			if !found || r.Changes != v.partitions[s.partition].Changes {
				return errOvertaken
			}
		}
		for _, s := range steps {
			var err error
			if s.reset {
				err = properties.Delete(tx, s.name)
			} else {
				err = properties.Put(tx, s.name, propertyRecord{Value: s.value})
			}
			if err == nil && s.value != s.old {
				err = s.log(ctx, tx, forced[s.partition])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
