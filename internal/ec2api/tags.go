// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"

	"github.com/mallee-io/mallee/internal/query"
)

// maxTagged is how many things one call may change the tags of. EC2 takes 1000
// and may stop halfway; here a call is one transaction, which has a limit.
const maxTagged = 50

type tagged struct {
	ResourceIDs []string `query:"ResourceId" note:"volumes and instances, at most 50"`
}

func (in tagged) check() error {
	switch n := len(in.ResourceIDs); {
	case n == 0:
		return query.Faultf("MissingParameter", "The request must contain the parameter resourceIdSet")
	case n > maxTagged:
		return query.Faultf("RequestResourceCountExceeded", "The tags of at most %d resources can be changed in one call", maxTagged)
	}
	for _, id := range in.ResourceIDs {
		if err := checkResource(id); err != nil {
			return err
		}
	}
	return nil
}

type createTagsIn struct {
	common
	tagged
	Tags []tag `query:"Tag"`
}

func (in createTagsIn) check() error {
	if err := in.tagged.check(); err != nil {
		return err
	}
	if len(in.Tags) == 0 {
		return query.Faultf("MissingParameter", "The request must contain the parameter tagSet")
	}
	return checkTags(in.Tags)
}

func (a api) createTags(ctx context.Context, in createTagsIn) (*doneOut, error) {
	if err := a.tags.SetTags(ctx, in.ResourceIDs, tagMap(in.Tags)); err != nil {
		return nil, err
	}
	return &doneOut{Return: true}, nil
}

type deleteTagsIn struct {
	common
	tagged
	Tags []tag `query:"Tag" note:"without a value: whatever the value is; without tags: all"`
}

func (in deleteTagsIn) check() error {
	if err := in.tagged.check(); err != nil {
		return err
	}
	return checkTags(in.Tags)
}

// drops reports whether the call takes a tag away. A value that is given, be it
// empty, must be the tag's.
func (in deleteTagsIn) drops(key, value string) bool {
	for _, t := range in.Tags {
		if t.Key == key && (t.Value == nil || *t.Value == value) {
			return true
		}
	}
	return len(in.Tags) == 0
}

func (a api) deleteTags(ctx context.Context, in deleteTagsIn) (*doneOut, error) {
	if err := a.tags.ClearTags(ctx, in.ResourceIDs, in.drops); err != nil {
		return nil, err
	}
	return &doneOut{Return: true}, nil
}

type describeTagsIn struct {
	common
	page
	Filters []filter `query:"Filter"`
}

func (in describeTagsIn) check() error {
	if err := tagFilters().check(in.Filters); err != nil {
		return err
	}
	return tagPages.check(in.page)
}

func (describeTagsIn) filterNames() []string { return tagFilters().names() }

type describeTagsOut struct {
	query.Reply
	Tags      query.Set[tagDescription] `xml:"tagSet"`
	NextToken string                    `xml:"nextToken,omitempty"`
}

// tagDescription is EC2's TagDescription.
type tagDescription struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

// id sorts tags by resource and then key: no id of a resource has a blank.
func (t tagDescription) id() string { return t.ResourceID + " " + t.Key }

func (a api) describeTags(ctx context.Context, in describeTagsIn) (*describeTagsOut, error) {
	nodes, err := a.nodes(ctx)
	if err != nil {
		return nil, err
	}
	volumes, err := a.volumes.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	var list []tagDescription
	add := func(id, kind string, tags map[string]string) {
		for _, t := range newTagSet(tags).Items {
			list = append(list, tagDescription{id, kind, t.Key, t.Value})
		}
	}
	// "i-" sorts before "vol-", and each list is sorted by id.
	for _, n := range nodes {
		add(string(n.InstanceID), "instance", nodeTags(n))
	}
	for _, v := range volumes {
		add(string(v.ID), "volume", v.Tags)
	}
	out := &describeTagsOut{}
	out.Tags.Items, out.NextToken = cut(tagPages, in.page, tagFilters().apply(list, in.Filters), tagDescription.id)
	return out, nil
}

func tagFilters() filters[tagDescription] {
	return filters[tagDescription]{
		fields: map[string]func(tagDescription) []string{
			"key":           func(t tagDescription) []string { return []string{t.Key} },
			"value":         func(t tagDescription) []string { return []string{t.Value} },
			"resource-id":   func(t tagDescription) []string { return []string{t.ResourceID} },
			"resource-type": func(t tagDescription) []string { return []string{t.ResourceType} },
		},
		tags: func(t tagDescription) map[string]string { return map[string]string{t.Key: t.Value} },
	}
}

// tagSpecification is what CreateVolume gives the volume that it makes.
type tagSpecification struct {
	ResourceType string `query:"ResourceType,required"`
	Tags         []tag  `query:"Tag"`
}

// volumeTags returns the tags of all specifications, which must be for volumes.
func volumeTags(all []tagSpecification) ([]tag, error) {
	var tags []tag
	for _, s := range all {
		if s.ResourceType != "volume" {
			return nil, query.Faultf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		tags = append(tags, s.Tags...)
	}
	return tags, checkTags(tags)
}
