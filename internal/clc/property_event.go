// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/store"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// keptEvents is how many changes of its properties a partition remembers.
const keptEvents = 100

// log counts the step as a change of its partition and writes down who has made it,
// in the place of the change that is keptEvents older.
func (s step) log(ctx context.Context, tx *store.Tx, forced bool) error {
	r, _, err := partitions.Get(tx, s.partition)
	if err != nil {
		return err
	}
	e := eventRecord{
		Number: r.Changes, Time: time.Now().UTC(), Change: s.change(),
		AccessKey: telemetry.AccessKey(ctx), RequestID: telemetry.RequestID(ctx), Reset: s.reset, Forced: forced,
	}
	if err := events.Put(tx, s.partition+"."+strconv.FormatUint(r.Changes%keptEvents, 10), e); err != nil {
		return err
	}
	r.Changes++
	return partitions.Put(tx, s.partition, r)
}

// PropertyHistory returns the changes of the properties whose names begin with one
// of the prefixes, or of all when there is none, the newest first, and at most most
// of them unless that is 0. Each partition remembers its last hundred.
func (c *Controller) PropertyHistory(ctx context.Context, prefixes []string, most int) ([]mallee.PropertyEvent, error) {
	snap, err := c.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	all, err := events.All(snap)
	if err != nil {
		return nil, err
	}
	var found []eventRecord
	for _, e := range all {
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(e.Change.Name, p) }) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b eventRecord) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Number, a.Number), strings.Compare(a.Change.Name, b.Change.Name))
	})
	if most > 0 && len(found) > most {
		found = found[:most]
	}
	list := make([]mallee.PropertyEvent, len(found))
	for i, e := range found {
		list[i] = mallee.PropertyEvent{
			PropertyChange: e.Change, Time: e.Time, AccessKey: e.AccessKey, RequestID: e.RequestID, Reset: e.Reset, Forced: e.Forced,
		}
	}
	return list, nil
}
