// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"slices"
	"strings"

	"github.com/mallee-io/mallee/internal/query"
)

type describeRegionsIn struct {
	common
	RegionNames []string `query:"RegionName"`
	AllRegions  bool     `query:"AllRegions" note:"without effect: there is one"`
	Filters     []filter `query:"Filter"`
}

func (in describeRegionsIn) check() error {
	for _, name := range in.RegionNames {
		if name != region {
			return query.Faultf("InvalidParameterValue", "Invalid region names provided: '%s'", name)
		}
	}
	return regionFilters().check(in.Filters)
}

func (describeRegionsIn) filterNames() []string { return regionFilters().names() }

type describeRegionsOut struct {
	query.Reply
	Regions query.Set[regionItem] `xml:"regionInfo"`
}

// regionItem is EC2's Region but for its endpoint, which is whatever the caller
// has called.
type regionItem struct {
	Name        string `xml:"regionName"`
	OptInStatus string `xml:"optInStatus"`
}

func (a api) describeRegions(_ context.Context, in describeRegionsIn) (*describeRegionsOut, error) {
	all := []regionItem{{region, optInStatus}}
	return &describeRegionsOut{Regions: query.Set[regionItem]{Items: regionFilters().apply(all, in.Filters)}}, nil
}

func regionFilters() filters[regionItem] {
	return filters[regionItem]{fields: map[string]func(regionItem) []string{
		"region-name":   func(r regionItem) []string { return []string{r.Name} },
		"opt-in-status": func(r regionItem) []string { return []string{r.OptInStatus} },
	}}
}

type describeAccountAttributesIn struct {
	common
	Names []string `query:"AttributeName" note:"default-vpc and supported-platforms; others are not answered"`
}

func (describeAccountAttributesIn) check() error { return nil }

type describeAccountAttributesOut struct {
	query.Reply
	Attributes query.Set[attributeItem] `xml:"accountAttributeSet"`
}

type attributeItem struct {
	Name   string                    `xml:"attributeName"`
	Values query.Set[attributeValue] `xml:"attributeValueSet"`
}

type attributeValue struct {
	Value string `xml:"attributeValue"`
}

// describeAccountAttributes answers what Terraform's provider asks at its start:
// instances are not in EC2's first kind of network, and there is no default one.
func (a api) describeAccountAttributes(_ context.Context, in describeAccountAttributesIn) (*describeAccountAttributesOut, error) {
	out := &describeAccountAttributesOut{}
	for _, pair := range []string{"default-vpc=none", "supported-platforms=VPC"} {
		name, value, _ := strings.Cut(pair, "=")
		if len(in.Names) == 0 || slices.Contains(in.Names, name) {
			out.Attributes.Items = append(out.Attributes.Items, attributeItem{name, query.Set[attributeValue]{Items: []attributeValue{{value}}}})
		}
	}
	return out, nil
}
