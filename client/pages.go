// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"iter"
	"maps"
	"net/url"
	"strconv"

	"github.com/mallee-io/mallee"
)

// Filter narrows a listing to the objects of which one value, the one that Name
// stands for, matches one of Values. In these, '*' stands for any characters and
// '?' for one. Names are EC2's: "status", "availability-zone", "tag:KEY".
type Filter struct {
	Name   string
	Values []string
}

// VolumeQuery says which volumes are asked for, and how.
type VolumeQuery struct {
	Filters []Filter // a volume must pass all of them
	// PageSize is how many volumes one call asks for, 5 to 1000; 0 means 500.
	PageSize int
}

const defaultPageSize = 500

// EachVolume returns the volumes of a query, sorted by id and without their
// Modification. It calls the cloud when the loop comes to the end of a page, so
// that a loop that is left early costs no more than it has used. Volumes that
// come or go meanwhile may or may not be among them; every other one is, once.
// After an error there is no more.
func (c *Client) EachVolume(ctx context.Context, q VolumeQuery) iter.Seq2[mallee.Volume, error] {
	params := url.Values{}
	for i, f := range q.Filters {
		prefix := "Filter." + strconv.Itoa(i+1)
		params.Set(prefix+".Name", f.Name)
		maps.Copy(params, numbered(prefix+".Value", f.Values))
	}
	if q.PageSize > 0 {
		params.Set("MaxResults", strconv.Itoa(q.PageSize))
	}
	return pages(ctx, params, c.volumePage)
}

// Volumes returns all volumes, sorted by id.
func (c *Client) Volumes(ctx context.Context) ([]mallee.Volume, error) {
	return collect(c.EachVolume(ctx, VolumeQuery{}))
}

func (c *Client) volumePage(ctx context.Context, params url.Values) ([]mallee.Volume, string, error) {
	var out struct {
		Items []volumeItem `xml:"volumeSet>item"`
		Next  string       `xml:"nextToken"`
	}
	if err := c.do(ctx, ec2, "DescribeVolumes", params, &out); err != nil {
		return nil, "", err
	}
	var list []mallee.Volume
	for _, item := range out.Items {
		list = append(list, item.volume())
	}
	return list, out.Next, nil
}

// pages returns what page returns for params, page after page.
func pages[T any](ctx context.Context, params url.Values, page func(context.Context, url.Values) (list []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		// A loop over the sequence may be run again, from the first page on.
		params := maps.Clone(params)
		if params == nil {
			params = url.Values{}
		}
		if !params.Has("MaxResults") {
			params.Set("MaxResults", strconv.Itoa(defaultPageSize))
		}
		for {
			list, next, err := page(ctx, params)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, object := range list {
				if !yield(object, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			params.Set("NextToken", next)
		}
	}
}

// collect returns all that a sequence has, or its error.
func collect[T any](sequence iter.Seq2[T, error]) ([]T, error) {
	var list []T
	for object, err := range sequence {
		if err != nil {
			return nil, err
		}
		list = append(list, object)
	}
	return list, nil
}
