// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

type describeVolumeStatusIn struct {
	common
	page
	VolumeIDs []string `query:"VolumeId"`
	Filters   []filter `query:"Filter"`
}

func (in describeVolumeStatusIn) check() error {
	if err := checkIDs(in.VolumeIDs, checkVolumeID); err != nil {
		return err
	}
	if err := statusFilters().check(in.Filters); err != nil {
		return err
	}
	if err := in.checkUnnamed("VolumeId", in.VolumeIDs); err != nil {
		return err
	}
	return statusPages.check(in.page)
}

func (describeVolumeStatusIn) filterNames() []string { return statusFilters().names() }

type describeVolumeStatusOut struct {
	query.Reply
	Statuses  query.Set[statusItem] `xml:"volumeStatusSet"`
	NextToken string                `xml:"nextToken,omitempty"`
}

// statusItem is EC2's VolumeStatusItem. Nothing is ever asked of the caller, so
// that the set of actions is empty.
type statusItem struct {
	VolumeID         mallee.VolumeID                   `xml:"volumeId"`
	AvailabilityZone string                            `xml:"availabilityZone"`
	Status           string                            `xml:"volumeStatus>status"`
	Details          query.Set[statusDetail]           `xml:"volumeStatus>details"`
	Events           query.Set[statusEvent]            `xml:"eventsSet"`
	Actions          query.Set[struct{}]               `xml:"actionsSet"`
	Attachments      query.Set[attachmentStatusDetail] `xml:"attachmentStatuses"`
}

type statusDetail struct {
	Name   string `xml:"name"`
	Status string `xml:"status"`
}

type statusEvent struct {
	EventID     string            `xml:"eventId"`
	EventType   string            `xml:"eventType"`
	Description string            `xml:"description"`
	InstanceID  mallee.InstanceID `xml:"instanceId,omitempty"`
}

type attachmentStatusDetail struct {
	InstanceID    mallee.InstanceID `xml:"instanceId"`
	IOPerformance string            `xml:"ioPerformance"`
}

func (a api) describeVolumeStatus(ctx context.Context, in describeVolumeStatusIn) (*describeVolumeStatusOut, error) {
	volumes, err := a.chooseVolumes(ctx, in.VolumeIDs)
	if err != nil {
		return nil, err
	}
	paths, err := a.volumes.Paths(ctx)
	if err != nil {
		return nil, err
	}
	ledger := map[mallee.VolumeID][]mallee.Path{}
	for _, p := range paths {
		ledger[p.VolumeID] = append(ledger[p.VolumeID], p)
	}
	var list []statusItem
	for _, v := range volumes {
		list = append(list, newStatusItem(v, ledger[v.ID]))
	}
	out := &describeVolumeStatusOut{}
	out.Statuses.Items, out.NextToken = cut(statusPages, in.page, statusFilters().apply(list, in.Filters),
		func(s statusItem) string { return string(s.VolumeID) })
	return out, nil
}

// health is how a volume is, in EC2's words.
type health struct {
	status      string // "ok", "impaired", "insufficient-data"
	io          string // of the detail io-enabled
	performance string // of the detail io-performance
	why         string // for a person; empty unless it is impaired
}

const (
	unknown       = "insufficient-data"
	notApplicable = "not-applicable"
)

// healthOf judges a volume by the paths that its node expects, which those that
// it drains are no longer. A volume that
// nobody uses has no paths, and is well unless there is something to say of it
// besides its growth: the SAN does not answer, or does not hold it any more.
func healthOf(v mallee.Volume, paths []mallee.Path) health {
	paths = slices.DeleteFunc(slices.Clone(paths), func(p mallee.Path) bool { return !p.Expected() })
	switch {
	case v.State == mallee.VolumeError:
		return health{"impaired", "failed", notApplicable, v.Message}
	case v.State == mallee.VolumeAvailable && (v.Message == "" || growing(v)):
		return health{"ok", "passed", notApplicable, ""}
	case v.State != mallee.VolumeInUse, v.Attachment == nil, v.Attachment.State != mallee.Attached, len(paths) == 0:
		return health{unknown, unknown, unknown, ""}
	}
	up, missing := 0, []string{}
	for _, p := range paths {
		if p.State == mallee.PathUp {
			up++
			continue
		}
		missing = append(missing, fmt.Sprintf("%s is %s: %s", pathName(p), p.State, p.Reason))
	}
	why := fmt.Sprintf("%d of %d paths are up; %s", up, len(paths), strings.Join(missing, "; "))
	switch up {
	case len(paths):
		return health{"ok", "passed", "normal", ""}
	case 0:
		return health{"impaired", "failed", "stalled", why}
	}
	return health{"impaired", "passed", "degraded", why}
}

func growing(v mallee.Volume) bool {
	return v.Modification != nil && v.Modification.Ended.IsZero()
}

func pathName(p mallee.Path) string {
	if p.Portal == "" {
		return p.Text
	}
	if p.Interface == "" {
		return p.Portal
	}
	return p.Interface + ":" + p.Portal
}

func newStatusItem(v mallee.Volume, paths []mallee.Path) statusItem {
	h := healthOf(v, paths)
	item := statusItem{VolumeID: v.ID, AvailabilityZone: v.Partition, Status: h.status}
	item.Details.Items = []statusDetail{{"io-enabled", h.io}, {"io-performance", h.performance}}
	event := statusEvent{EventID: "evol-" + strings.TrimPrefix(string(v.ID), "vol-"), EventType: "io-enabled:" + h.io, Description: h.why}
	if at := v.Attachment; at != nil {
		item.Attachments.Items = []attachmentStatusDetail{{at.InstanceID, h.performance}}
		event.EventType, event.InstanceID = "io-performance:"+h.performance, at.InstanceID
	}
	if h.why != "" {
		item.Events.Items = []statusEvent{event}
	}
	return item
}

func statusFilters() filters[statusItem] {
	detail := func(get func(statusDetail) string) func(statusItem) []string {
		return func(s statusItem) []string { return each(s.Details.Items, get) }
	}
	event := func(get func(statusEvent) string) func(statusItem) []string {
		return func(s statusItem) []string { return each(s.Events.Items, get) }
	}
	none := func(statusItem) []string { return nil }
	return filters[statusItem]{fields: map[string]func(statusItem) []string{
		"action.code":                  none,
		"action.description":           none,
		"action.event-id":              none,
		"availability-zone":            func(s statusItem) []string { return []string{s.AvailabilityZone} },
		"event.description":            event(func(e statusEvent) string { return e.Description }),
		"event.event-id":               event(func(e statusEvent) string { return e.EventID }),
		"event.event-type":             event(func(e statusEvent) string { return e.EventType }),
		"volume-status.details-name":   detail(func(d statusDetail) string { return d.Name }),
		"volume-status.details-status": detail(func(d statusDetail) string { return d.Status }),
		"volume-status.status":         func(s statusItem) []string { return []string{s.Status} },
	}}
}

// each returns what get returns for each of list.
func each[T any](list []T, get func(T) string) []string {
	values := make([]string, 0, len(list))
	for _, item := range list {
		values = append(values, get(item))
	}
	return values
}
