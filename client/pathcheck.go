// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"

	"github.com/mallee-io/mallee"
)

// siteItem is a machine as the API writes it.
type siteItem struct {
	Role       mallee.Role       `xml:"role"`
	Name       string            `xml:"name"`
	InstanceID mallee.InstanceID `xml:"instanceId"`
	Partition  string            `xml:"partition"`
	Live       bool              `xml:"live"`
	Paths      string            `xml:"paths"`
	Settled    bool              `xml:"settled"`
	Devices    []struct {
		Name      string   `xml:"name"`
		Up        bool     `xml:"up"`
		Addresses []string `xml:"addresses>item"`
	} `xml:"devices>item"`
	Labels []struct {
		Label     string `xml:"label"`
		NetDevice string `xml:"netDevice"`
		Source    string `xml:"source"`
		Problem   string `xml:"problem"`
	} `xml:"labels>item"`
	Reach []struct {
		Text      string               `xml:"text"`
		Interface string               `xml:"interface"`
		NetDevice string               `xml:"netDevice"`
		Portal    string               `xml:"portal"`
		State     mallee.ReachState    `xml:"state"`
		Evidence  mallee.ReachEvidence `xml:"evidence"`
		Reason    string               `xml:"reason"`
	} `xml:"reach>item"`
	Warnings []string `xml:"warnings>item"`
}

func (i siteItem) site() mallee.Site {
	s := mallee.Site{
		Role: i.Role, Name: i.Name, InstanceID: i.InstanceID, Partition: i.Partition,
		Live: i.Live, Paths: i.Paths, Settled: i.Settled, Warnings: i.Warnings,
	}
	for _, d := range i.Devices {
		s.Devices = append(s.Devices, mallee.NetDevice(d))
	}
	for _, l := range i.Labels {
		s.Labels = append(s.Labels, mallee.InterfaceLabel(l))
	}
	for _, r := range i.Reach {
		s.Reach = append(s.Reach, mallee.Reach(r))
	}
	return s
}

// CheckPaths asks what a list of paths means on each machine that it is for: value,
// or with nil the one that is set. name is that of an ncpaths or scpaths property.
// Nothing is changed. With probe, portals of which there is no other evidence are
// sent a TCP connection that is reset at once, one machine at a time.
//
// That a value would be refused is told in PathCheck.Refused and is no error.
func (c *Client) CheckPaths(ctx context.Context, name string, value *string, probe bool) (mallee.PathCheck, error) {
	params := url.Values{"Property": {name}}
	if value != nil {
		params.Set("Value", *value)
	}
	if probe {
		params.Set("Probe", "true")
	}
	var out struct {
		Check struct {
			Name     string     `xml:"name"`
			Value    string     `xml:"value"`
			MinPaths int        `xml:"minPaths"`
			Sites    []siteItem `xml:"sites>item"`
			Refused  []string   `xml:"refused>item"`
			Warnings []string   `xml:"warnings>item"`
		} `xml:"pathCheck"`
	}
	if err := c.do(ctx, properties, "DescribePathReach", params, &out); err != nil {
		return mallee.PathCheck{}, err
	}
	check := mallee.PathCheck{
		Name: out.Check.Name, Value: out.Check.Value, MinPaths: out.Check.MinPaths,
		Refused: out.Check.Refused, Warnings: out.Check.Warnings,
	}
	for _, item := range out.Check.Sites {
		check.Sites = append(check.Sites, item.site())
	}
	return check, nil
}
