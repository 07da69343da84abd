// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/mallee-io/mallee"
)

// Properties returns the properties whose names begin with one of the prefixes,
// or all when there is none, sorted by name.
func (c *Client) Properties(ctx context.Context, prefixes ...string) ([]mallee.Property, error) {
	var out struct {
		Items []struct {
			Name        string `xml:"name"`
			Value       string `xml:"value"`
			Default     string `xml:"defaultValue"`
			Description string `xml:"description"`
			ReadOnly    bool   `xml:"readOnly"`
		} `xml:"properties>item"`
	}
	if err := c.do(ctx, properties, "DescribeProperties", numbered("Property", prefixes), &out); err != nil {
		return nil, err
	}
	var list []mallee.Property
	for _, item := range out.Items {
		list = append(list, mallee.Property(item))
	}
	return list, nil
}

// SetProperty gives a property a value, which may be empty. What the cloud warns of
// is not told; SetProperties tells it.
func (c *Client) SetProperty(ctx context.Context, name, value string) (mallee.PropertyChange, error) {
	return c.setOne(ctx, mallee.PropertySet{Name: name, Value: value})
}

// ResetProperty gives a property its default.
func (c *Client) ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error) {
	return c.setOne(ctx, mallee.PropertySet{Name: name, Reset: true})
}

func (c *Client) setOne(ctx context.Context, set mallee.PropertySet) (mallee.PropertyChange, error) {
	changes, _, err := c.SetProperties(ctx, []mallee.PropertySet{set}, false)
	if err != nil {
		return mallee.PropertyChange{}, err
	}
	return changes[0], nil
}

// changeItem is a change as the API writes it.
type changeItem struct {
	Name     string `xml:"name"`
	Value    string `xml:"value"`
	OldValue string `xml:"oldValue"`
}

// SetProperties makes all changes or none. It returns what changed, in the order of
// sets, and what an admin should know of it. With force also a change is made that
// leaves a machine with too few paths.
//
// An APIError with code PathsUnreachable says for which machines the change would
// not do, PropertyChanged that a value is not the one of PropertySet.If.
//
// One change is the original's ModifyPropertyValue; several are an extension of its
// API, ModifyPropertyValues.
func (c *Client) SetProperties(ctx context.Context, sets []mallee.PropertySet, force bool) (changes []mallee.PropertyChange, warnings []string, err error) {
	params := url.Values{}
	if force {
		params.Set("Force", "true")
	}
	var out struct {
		changeItem
		Changes  []changeItem `xml:"changes>item"`
		Warnings []string     `xml:"warnings>item"`
	}
	if len(sets) == 1 {
		addSet(params, "", sets[0])
		if err := c.do(ctx, properties, "ModifyPropertyValue", params, &out); err != nil {
			return nil, nil, err
		}
		return []mallee.PropertyChange{mallee.PropertyChange(out.changeItem)}, out.Warnings, nil
	}
	for i, set := range sets {
		addSet(params, "Change."+strconv.Itoa(i+1)+".", set)
	}
	if err := c.do(ctx, properties, "ModifyPropertyValues", params, &out); err != nil {
		return nil, nil, err
	}
	for _, item := range out.Changes {
		changes = append(changes, mallee.PropertyChange(item))
	}
	return changes, out.Warnings, nil
}

// addSet adds the parameters of one change, each after prefix.
func addSet(params url.Values, prefix string, set mallee.PropertySet) {
	params.Set(prefix+"Name", set.Name)
	if set.Reset {
		params.Set(prefix+"Reset", "true")
	} else {
		params.Set(prefix+"Value", set.Value)
	}
	if set.If != nil {
		params.Set(prefix+"IfValue", *set.If)
	}
}

// PropertyHistory returns the changes of the properties whose names begin with one
// of the prefixes, or of all when there is none, the newest first and at most most
// of them; 0 leaves that number to the cloud.
func (c *Client) PropertyHistory(ctx context.Context, prefixes []string, most int) ([]mallee.PropertyEvent, error) {
	params := numbered("Property", prefixes)
	if most > 0 {
		params.Set("MaxResults", strconv.Itoa(most))
	}
	var out struct {
		Items []struct {
			changeItem
			Time      time.Time        `xml:"time"`
			AccessKey string           `xml:"accessKey"`
			RequestID mallee.RequestID `xml:"requestId"`
			Reset     bool             `xml:"reset"`
			Forced    bool             `xml:"forced"`
		} `xml:"events>item"`
	}
	if err := c.do(ctx, properties, "DescribePropertyHistory", params, &out); err != nil {
		return nil, err
	}
	var list []mallee.PropertyEvent
	for _, item := range out.Items {
		list = append(list, mallee.PropertyEvent{
			PropertyChange: mallee.PropertyChange(item.changeItem),
			Time:           item.Time, AccessKey: item.AccessKey, RequestID: item.RequestID, Reset: item.Reset, Forced: item.Forced,
		})
	}
	return list, nil
}

// numbered returns the parameters NAME.1, NAME.2 and so on.
func numbered[T ~string](name string, values []T) url.Values {
	params := url.Values{}
	for i, v := range values {
		params.Set(name+"."+strconv.Itoa(i+1), string(v))
	}
	return params
}
