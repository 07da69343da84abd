// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
)

// tagItem is a tag as the API writes it.
type tagItem struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// Tags returns the tags of a volume or an instance; none for an id that nothing
// has, as EC2 answers.
func (c *Client) Tags(ctx context.Context, id string) (map[string]string, error) {
	items, err := collect(pages(ctx, url.Values{"Filter.1.Name": {"resource-id"}, "Filter.1.Value.1": {id}}, c.tagPage))
	return tagMap(items), err
}

func (c *Client) tagPage(ctx context.Context, params url.Values) ([]tagItem, string, error) {
	var out struct {
		Items []tagItem `xml:"tagSet>item"`
		Next  string    `xml:"nextToken"`
	}
	err := c.do(ctx, ec2, "DescribeTags", params, &out)
	return out.Items, out.Next, err
}

// AddTags gives a volume or an instance tags. A tag that it has gets the new value.
func (c *Client) AddTags(ctx context.Context, id string, tags map[string]string) error {
	params := url.Values{"ResourceId.1": {id}}
	setTags(params, "Tag", tags)
	return c.do(ctx, ec2, "CreateTags", params, &struct{}{})
}

// RemoveTags takes the tags with these keys from a volume or an instance. A key
// that it does not have is no error. At least one is needed: EC2's call without
// any would take them all.
func (c *Client) RemoveTags(ctx context.Context, id, key string, more ...string) error {
	params := url.Values{"ResourceId.1": {id}}
	for i, key := range append([]string{key}, more...) {
		params.Set("Tag."+strconv.Itoa(i+1)+".Key", key)
	}
	return c.do(ctx, ec2, "DeleteTags", params, &struct{}{})
}

func setTags(params url.Values, name string, tags map[string]string) {
	for i, key := range slices.Sorted(maps.Keys(tags)) {
		prefix := name + "." + strconv.Itoa(i+1)
		params.Set(prefix+".Key", key)
		params.Set(prefix+".Value", tags[key])
	}
}

// tagMap returns nil for no tags.
func tagMap(items []tagItem) map[string]string {
	if len(items) == 0 {
		return nil
	}
	tags := map[string]string{}
	for _, item := range items {
		tags[item.Key] = item.Value
	}
	return tags
}
