// SPDX-License-Identifier: Apache-2.0

package propapi

import (
	"context"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// The actions below are ours: the original could change one property at a time
// and kept no history.

type modifyPropertyValuesIn struct {
	Changes []change `query:"Change"`
	Force   bool     `query:"Force"`
}

type modifyPropertyValuesOut struct {
	reply
	Changes  []changeItem `xml:"euca:changes>euca:item"`
	Warnings []string     `xml:"euca:warnings>euca:item"`
}

// modifyPropertyValues makes all changes or none.
func (a api) modifyPropertyValues(ctx context.Context, in modifyPropertyValuesIn) (*modifyPropertyValuesOut, error) {
	if len(in.Changes) == 0 {
		return nil, query.Faultf("MissingParameter", "The request must contain the parameter Change.1.Name")
	}
	var sets []mallee.PropertySet
	for _, c := range in.Changes {
		set, err := c.set()
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	changes, warnings, err := a.properties.SetProperties(ctx, sets, in.Force)
	if err != nil {
		return nil, err
	}
	out := &modifyPropertyValuesOut{reply: newReply(ctx), Warnings: warnings}
	for _, c := range changes {
		out.Changes = append(out.Changes, changeItem(c))
	}
	return out, nil
}

type describePropertyHistoryIn struct {
	Prefixes   []string `query:"Property"`
	MaxResults *int     `query:"MaxResults"`
}

type describePropertyHistoryOut struct {
	reply
	Events []eventItem `xml:"euca:events>euca:item"`
}

type eventItem struct {
	changeItem
	Time      time.Time        `xml:"euca:time"`
	AccessKey string           `xml:"euca:accessKey"`
	RequestID mallee.RequestID `xml:"euca:requestId"`
	Reset     bool             `xml:"euca:reset"`
	Forced    bool             `xml:"euca:forced"`
}

func (a api) describePropertyHistory(ctx context.Context, in describePropertyHistoryIn) (*describePropertyHistoryOut, error) {
	most := 0
	if in.MaxResults != nil {
		if most = *in.MaxResults; most < 1 {
			return nil, query.Faultf("InvalidParameterValue", "Value (%d) for parameter maxResults is invalid. Expected at least 1.", most)
		}
	}
	events, err := a.properties.PropertyHistory(ctx, in.Prefixes, most)
	if err != nil {
		return nil, err
	}
	out := &describePropertyHistoryOut{reply: newReply(ctx)}
	for _, e := range events {
		out.Events = append(out.Events, eventItem{changeItem(e.PropertyChange), e.Time, e.AccessKey, e.RequestID, e.Reset, e.Forced})
	}
	return out, nil
}
