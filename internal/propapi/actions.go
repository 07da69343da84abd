// SPDX-License-Identifier: Apache-2.0

package propapi

import (
	"context"
	"slices"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
	"github.com/mallee-io/mallee/internal/telemetry"
)

type api struct{ properties Properties }

// reply stands at the head of each answer, as in the original.
type reply struct {
	CorrelationID mallee.RequestID `xml:"euca:correlationId"`
	Return        bool             `xml:"euca:return"`
}

func newReply(ctx context.Context) reply {
	return reply{CorrelationID: telemetry.RequestID(ctx), Return: true}
}

type describePropertiesIn struct {
	// Prefixes are names or beginnings of names; none asks for all properties.
	Prefixes []string `query:"Property"`
}

type describePropertiesOut struct {
	reply
	Properties propertySet `xml:"euca:properties"`
}

type propertySet struct {
	Items []propertyItem `xml:"euca:item"`
}

type propertyItem struct {
	Name        string `xml:"euca:name"`
	Value       string `xml:"euca:value"`
	Description string `xml:"euca:description"`
	Default     string `xml:"euca:defaultValue"`
	ReadOnly    bool   `xml:"euca:readOnly"`
}

func (a api) describeProperties(ctx context.Context, in describePropertiesIn) (*describePropertiesOut, error) {
	all, err := a.properties.Properties(ctx)
	if err != nil {
		return nil, err
	}
	out := &describePropertiesOut{reply: newReply(ctx)}
	for _, p := range all {
		if len(in.Prefixes) > 0 && !slices.ContainsFunc(in.Prefixes, func(prefix string) bool { return strings.HasPrefix(p.Name, prefix) }) {
			continue
		}
		out.Properties.Items = append(out.Properties.Items, propertyItem{
			Name: p.Name, Value: p.Value, Description: p.Description, Default: p.Default, ReadOnly: p.ReadOnly,
		})
	}
	return out, nil
}

// change is one wish, alone or among others.
type change struct {
	Name    string  `query:"Name,required"`
	Value   *string `query:"Value"` // may be empty, which is not the same as absent
	Reset   bool    `query:"Reset"`
	IfValue *string `query:"IfValue"` // of ours
}

func (c change) set() (mallee.PropertySet, error) {
	set := mallee.PropertySet{Name: c.Name, Reset: c.Reset, If: c.IfValue}
	switch {
	case c.Reset && c.Value != nil:
		return set, query.Faultf("InvalidParameterCombination", "Failed to set property: %s: give Value or Reset, not both", c.Name)
	case !c.Reset && c.Value == nil:
		return set, query.Faultf("MissingParameter", "Failed to set property: %s: the request must contain the parameter Value or Reset", c.Name)
	case !c.Reset:
		set.Value = *c.Value
	}
	return set, nil
}

type modifyPropertyValueIn struct {
	change
	Force bool `query:"Force"` // of ours
}

type modifyPropertyValueOut struct {
	reply
	changeItem
	Warnings []string `xml:"euca:warnings>euca:item"` // of ours
}

type changeItem struct {
	Name     string `xml:"euca:name"`
	Value    string `xml:"euca:value"`
	OldValue string `xml:"euca:oldValue"`
}

func (a api) modifyPropertyValue(ctx context.Context, in modifyPropertyValueIn) (*modifyPropertyValueOut, error) {
	set, err := in.set()
	if err != nil {
		return nil, err
	}
	changes, warnings, err := a.properties.SetProperties(ctx, []mallee.PropertySet{set}, in.Force)
	if err != nil {
		return nil, err
	}
	return &modifyPropertyValueOut{newReply(ctx), changeItem(changes[0]), warnings}, nil
}
