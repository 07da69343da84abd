// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"strconv"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

type describeInstanceStatusIn struct {
	common
	page
	InstanceIDs []string `query:"InstanceId"`
	All         bool     `query:"IncludeAllInstances"`
	Filters     []filter `query:"Filter"`
}

func (in describeInstanceStatusIn) check() error {
	if err := checkIDs(in.InstanceIDs, checkInstanceID); err != nil {
		return err
	}
	if err := instanceStatusFilters().check(in.Filters); err != nil {
		return err
	}
	if err := in.checkUnnamed("InstanceId", in.InstanceIDs); err != nil {
		return err
	}
	return instancePages.check(in.page)
}

func (describeInstanceStatusIn) filterNames() []string { return instanceStatusFilters().names() }

type describeInstanceStatusOut struct {
	query.Reply
	Statuses  query.Set[instanceStatusItem] `xml:"instanceStatusSet"`
	NextToken string                        `xml:"nextToken,omitempty"`
}

// instanceStatusItem is EC2's InstanceStatus.
type instanceStatusItem struct {
	InstanceID mallee.InstanceID   `xml:"instanceId"`
	Zone       string              `xml:"availabilityZone"`
	Events     query.Set[struct{}] `xml:"eventsSet"`
	State      instanceState       `xml:"instanceState"`
	System     statusSummary       `xml:"systemStatus"`
	Instance   statusSummary       `xml:"instanceStatus"`
}

type statusSummary struct {
	Status  string                  `xml:"status"`
	Details query.Set[statusDetail] `xml:"details"`
}

// newInstanceStatusItem knows of a node only whether its agent is connected.
func newInstanceStatusItem(i instance) instanceStatusItem {
	summary := statusSummary{Status: notApplicable}
	if i.Live {
		summary = statusSummary{Status: "ok", Details: query.Set[statusDetail]{Items: []statusDetail{{"reachability", "passed"}}}}
	}
	return instanceStatusItem{InstanceID: i.InstanceID, Zone: i.Partition, State: stateOf(i.Node), System: summary, Instance: summary}
}

// describeInstanceStatus lists the instances that run, and the others when asked for.
func (a api) describeInstanceStatus(ctx context.Context, in describeInstanceStatusIn) (*describeInstanceStatusOut, error) {
	instances, err := a.instances(ctx, in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	var list []instanceStatusItem
	for _, i := range instances {
		if i.Live || in.All {
			list = append(list, newInstanceStatusItem(i))
		}
	}
	out := &describeInstanceStatusOut{}
	out.Statuses.Items, out.NextToken = cut(instancePages, in.page, instanceStatusFilters().apply(list, in.Filters),
		func(s instanceStatusItem) string { return string(s.InstanceID) })
	return out, nil
}

func instanceStatusFilters() filters[instanceStatusItem] {
	one := func(get func(instanceStatusItem) string) func(instanceStatusItem) []string {
		return func(s instanceStatusItem) []string { return []string{get(s)} }
	}
	// The system and the instance are one machine.
	status := one(func(s instanceStatusItem) string { return s.Instance.Status })
	reachability := func(s instanceStatusItem) []string {
		return each(s.Instance.Details.Items, func(d statusDetail) string { return d.Status })
	}
	return filters[instanceStatusItem]{fields: map[string]func(instanceStatusItem) []string{
		"availability-zone":            one(func(s instanceStatusItem) string { return s.Zone }),
		"instance-state-code":          one(func(s instanceStatusItem) string { return strconv.Itoa(s.State.Code) }),
		"instance-state-name":          one(func(s instanceStatusItem) string { return s.State.Name }),
		"instance-status.reachability": reachability,
		"instance-status.status":       status,
		"system-status.reachability":   reachability,
		"system-status.status":         status,
	}}
}
