// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"maps"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// tag is EC2's Tag, as a parameter.
type tag struct {
	Key   string  `query:"Key,required"`
	Value *string `query:"Value"` // absent is empty; only DeleteTags tells them apart
}

func (t tag) value() string {
	if t.Value == nil {
		return ""
	}
	return *t.Value
}

// checkTags refuses tags that nothing can have.
func checkTags(tags []tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		if err := mallee.CheckTag(t.Key, t.value()); err != nil {
			return query.Faultf("InvalidParameterValue", "Tag %q is invalid: %s.", t.Key, err)
		}
		if seen[t.Key] {
			return query.Faultf("InvalidParameterValue", "Duplicate tag key '%s' specified.", t.Key)
		}
		seen[t.Key] = true
	}
	if len(tags) > mallee.MaxTags {
		return query.Faultf("TagLimitExceeded", "More than %d tags specified", mallee.MaxTags)
	}
	return nil
}

// tagMap returns the tags that checkTags has accepted; nil for none.
func tagMap(tags []tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.value()
	}
	return m
}

// tagItem is EC2's Tag, in an answer.
type tagItem struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func newTagSet(tags map[string]string) query.Set[tagItem] {
	var set query.Set[tagItem]
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		set.Items = append(set.Items, tagItem{key, tags[key]})
	}
	return set
}

// nodeTags returns the tags of a node. What clients show as an instance's name is
// its tag "Name", so that a node without one has its own name there.
func nodeTags(n mallee.Node) map[string]string {
	tags := map[string]string{"Name": n.Name}
	maps.Copy(tags, n.Tags)
	return tags
}

// checkResource refuses what cannot be the id of a thing with tags.
func checkResource(id string) error {
	switch {
	case strings.HasPrefix(id, "vol-"):
		return checkVolumeID(id)
	case strings.HasPrefix(id, "i-"):
		return checkInstanceID(id)
	}
	return query.Faultf("InvalidID", "The ID '%s' is not valid", id)
}
