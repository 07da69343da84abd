// SPDX-License-Identifier: Apache-2.0

package propapi

import (
	"context"

	"github.com/mallee-io/mallee"
)

type describePathReachIn struct {
	Property string  `query:"Property,required"`
	Value    *string `query:"Value"` // absent for the one that is set
	Probe    bool    `query:"Probe"`
}

type describePathReachOut struct {
	reply
	Check pathCheckItem `xml:"euca:pathCheck"`
}

type pathCheckItem struct {
	Name     string     `xml:"euca:name"`
	Value    string     `xml:"euca:value"`
	MinPaths int        `xml:"euca:minPaths"`
	Sites    []siteItem `xml:"euca:sites>euca:item"`
	Refused  []string   `xml:"euca:refused>euca:item"`
	Warnings []string   `xml:"euca:warnings>euca:item"`
}

type siteItem struct {
	Role       mallee.Role       `xml:"euca:role"`
	Name       string            `xml:"euca:name"`
	InstanceID mallee.InstanceID `xml:"euca:instanceId"`
	Partition  string            `xml:"euca:partition"`
	Live       bool              `xml:"euca:live"`
	Paths      string            `xml:"euca:paths"`
	Settled    bool              `xml:"euca:settled"`
	Devices    []deviceItem      `xml:"euca:devices>euca:item"`
	Labels     []labelItem       `xml:"euca:labels>euca:item"`
	Reach      []reachItem       `xml:"euca:reach>euca:item"`
	Warnings   []string          `xml:"euca:warnings>euca:item"`
}

type deviceItem struct {
	Name      string   `xml:"euca:name"`
	Up        bool     `xml:"euca:up"`
	Addresses []string `xml:"euca:addresses>euca:item"`
}

type labelItem struct {
	Label     string `xml:"euca:label"`
	NetDevice string `xml:"euca:netDevice"`
	Source    string `xml:"euca:source"`
	Problem   string `xml:"euca:problem"`
}

type reachItem struct {
	Text      string               `xml:"euca:text"`
	Interface string               `xml:"euca:interface"`
	NetDevice string               `xml:"euca:netDevice"`
	Portal    string               `xml:"euca:portal"`
	State     mallee.ReachState    `xml:"euca:state"`
	Evidence  mallee.ReachEvidence `xml:"euca:evidence"`
	Reason    string               `xml:"euca:reason"`
}

// describePathReach is an action of ours: what a list of paths means, or would
// mean, on each machine.
func (a api) describePathReach(ctx context.Context, in describePathReachIn) (*describePathReachOut, error) {
	check, err := a.properties.CheckPaths(ctx, in.Property, in.Value, in.Probe)
	if err != nil {
		return nil, err
	}
	item := pathCheckItem{
		Name: check.Name, Value: check.Value, MinPaths: check.MinPaths, Refused: check.Refused, Warnings: check.Warnings,
	}
	for _, s := range check.Sites {
		item.Sites = append(item.Sites, newSiteItem(s))
	}
	return &describePathReachOut{newReply(ctx), item}, nil
}

func newSiteItem(s mallee.Site) siteItem {
	item := siteItem{
		Role: s.Role, Name: s.Name, InstanceID: s.InstanceID, Partition: s.Partition,
		Live: s.Live, Paths: s.Paths, Settled: s.Settled, Warnings: s.Warnings,
	}
	for _, d := range s.Devices {
		item.Devices = append(item.Devices, deviceItem(d))
	}
	for _, l := range s.Labels {
		item.Labels = append(item.Labels, labelItem(l))
	}
	for _, r := range s.Reach {
		item.Reach = append(item.Reach, reachItem(r))
	}
	return item
}
