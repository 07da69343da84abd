// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"
	"strconv"

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

// SetProperty gives a property a value, which may be empty.
func (c *Client) SetProperty(ctx context.Context, name, value string) (mallee.PropertyChange, error) {
	return c.modify(ctx, url.Values{"Name": {name}, "Value": {value}})
}

// ResetProperty gives a property its default.
func (c *Client) ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error) {
	return c.modify(ctx, url.Values{"Name": {name}, "Reset": {"true"}})
}

func (c *Client) modify(ctx context.Context, params url.Values) (mallee.PropertyChange, error) {
	var out struct {
		Name     string `xml:"name"`
		Value    string `xml:"value"`
		OldValue string `xml:"oldValue"`
	}
	if err := c.do(ctx, properties, "ModifyPropertyValue", params, &out); err != nil {
		return mallee.PropertyChange{}, err
	}
	return mallee.PropertyChange(out), nil
}

// numbered returns the parameters NAME.1, NAME.2 and so on.
func numbered[T ~string](name string, values []T) url.Values {
	params := url.Values{}
	for i, v := range values {
		params.Set(name+"."+strconv.Itoa(i+1), string(v))
	}
	return params
}
