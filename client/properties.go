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
	return c.modify(ctx, url.Values{"Name": {name}, "Value": {value}})
}

// ResetProperty gives a property its default.
func (c *Client) ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error) {
	return c.modify(ctx, url.Values{"Name": {name}, "Reset": {"true"}})
}

func (c *Client) modify(ctx context.Context, params url.Values) (mallee.PropertyChange, error) {
	var out changeItem
	if err := c.do(ctx, properties, "ModifyPropertyValue", params, &out); err != nil {
		return mallee.PropertyChange{}, err
	}
	return mallee.PropertyChange(out), nil
}

// changeItem is a change as the API writes it.
type changeItem struct {
	Name     string `xml:"name"`
	Value    string `xml:"value"`
	OldValue string `xml:"oldValue"`
}

// SetProperties makes all changes or none, which is an extension of the original's
// API. It returns what changed, in the order of sets, and what an admin should know
// of it. With force also a change is made that leaves a machine with too few paths.
//
// An APIError with code PathsUnreachable says for which machines the change would
// not do, PropertyChanged that a value is not the one of PropertySet.If.
func (c *Client) SetProperties(ctx context.Context, sets []mallee.PropertySet, force bool) (changes []mallee.PropertyChange, warnings []string, err error) {
	params := url.Values{}
	for i, set := range sets {
		name := "Change." + strconv.Itoa(i+1) + "."
		params.Set(name+"Name", set.Name)
		if set.Reset {
			params.Set(name+"Reset", "true")
		} else {
			params.Set(name+"Value", set.Value)
		}
		if set.If != nil {
			params.Set(name+"IfValue", *set.If)
		}
	}
	if force {
		params.Set("Force", "true")
	}
	var out struct {
		Changes  []changeItem `xml:"changes>item"`
		Warnings []string     `xml:"warnings>item"`
	}
	if err := c.do(ctx, properties, "ModifyPropertyValues", params, &out); err != nil {
		return nil, nil, err
	}
	for _, item := range out.Changes {
		changes = append(changes, mallee.PropertyChange(item))
	}
	return changes, out.Warnings, nil
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
