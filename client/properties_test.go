// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// Answers of the Properties API have the prefix "euca" on each element.
func TestPropertiesWire(t *testing.T) {
	const ncpaths = "P.storage.ncpaths"
	seen, none := "nopath", ""
	type set struct {
		Changes  []mallee.PropertyChange
		Warnings []string
	}
	for _, test := range []wireTest{
		{
			name:   "list",
			call:   func(c *client.Client) (any, error) { return c.Properties(t.Context(), "P.", "Q.") },
			answer: `<euca:R xmlns:euca="e"><euca:properties><euca:item><euca:name>P.storage.ncpaths</euca:name><euca:value>a</euca:value><euca:description>d</euca:description><euca:defaultValue>nopath</euca:defaultValue><euca:readOnly>true</euca:readOnly></euca:item></euca:properties></euca:R>`,
			params: url.Values{"Action": {"DescribeProperties"}, "Property.1": {"P."}, "Property.2": {"Q."}},
			want:   []mallee.Property{{Name: ncpaths, Value: "a", Default: "nopath", Description: "d", ReadOnly: true}},
		},
		{
			name:   "set one",
			call:   func(c *client.Client) (any, error) { return c.SetProperty(t.Context(), ncpaths, "") },
			answer: `<euca:R xmlns:euca="e"><euca:name>P.storage.ncpaths</euca:name><euca:value/><euca:oldValue>a</euca:oldValue></euca:R>`,
			params: url.Values{"Action": {"ModifyPropertyValue"}, "Name": {ncpaths}, "Value": {""}},
			want:   mallee.PropertyChange{Name: ncpaths, OldValue: "a"},
		},
		{
			name:   "reset one",
			call:   func(c *client.Client) (any, error) { return c.ResetProperty(t.Context(), ncpaths) },
			answer: `<euca:R xmlns:euca="e"><euca:name>P.storage.ncpaths</euca:name><euca:value>nopath</euca:value><euca:oldValue>a</euca:oldValue></euca:R>`,
			params: url.Values{"Action": {"ModifyPropertyValue"}, "Name": {ncpaths}, "Reset": {"true"}},
			want:   mallee.PropertyChange{Name: ncpaths, Value: "nopath", OldValue: "a"},
		},
		{
			name: "set one on a condition",
			call: func(c *client.Client) (any, error) {
				changes, warnings, err := c.SetProperties(t.Context(), []mallee.PropertySet{{Name: ncpaths, Value: "a", If: &seen}}, true)
				return set{changes, warnings}, err
			},
			answer: `<euca:R xmlns:euca="e"><euca:name>P.storage.ncpaths</euca:name><euca:value>a</euca:value><euca:oldValue>nopath</euca:oldValue><euca:warnings><euca:item>w</euca:item></euca:warnings></euca:R>`,
			params: url.Values{"Action": {"ModifyPropertyValue"}, "Name": {ncpaths}, "Value": {"a"}, "IfValue": {"nopath"}, "Force": {"true"}},
			want:   set{[]mallee.PropertyChange{{Name: ncpaths, Value: "a", OldValue: "nopath"}}, []string{"w"}},
		},
		{
			name: "set several",
			call: func(c *client.Client) (any, error) {
				changes, warnings, err := c.SetProperties(t.Context(), []mallee.PropertySet{
					{Name: ncpaths, Value: "a", If: &seen},
					{Name: "P.storage.scpaths", Reset: true},
					{Name: "P.storage.sanhost", Value: "", If: &none},
				}, true)
				return set{changes, warnings}, err
			},
			answer: `<euca:R xmlns:euca="e"><euca:changes><euca:item><euca:name>P.storage.ncpaths</euca:name><euca:value>a</euca:value><euca:oldValue>nopath</euca:oldValue></euca:item>
				<euca:item><euca:name>P.storage.scpaths</euca:name><euca:value>nopath</euca:value><euca:oldValue>b</euca:oldValue></euca:item></euca:changes>
				<euca:warnings><euca:item>nc2 is offline</euca:item></euca:warnings></euca:R>`,
			params: url.Values{
				"Action": {"ModifyPropertyValues"}, "Force": {"true"},
				"Change.1.Name": {ncpaths}, "Change.1.Value": {"a"}, "Change.1.IfValue": {"nopath"},
				"Change.2.Name": {"P.storage.scpaths"}, "Change.2.Reset": {"true"},
				"Change.3.Name": {"P.storage.sanhost"}, "Change.3.Value": {""}, "Change.3.IfValue": {""},
			},
			want: set{
				[]mallee.PropertyChange{{Name: ncpaths, Value: "a", OldValue: "nopath"}, {Name: "P.storage.scpaths", Value: "nopath", OldValue: "b"}},
				[]string{"nc2 is offline"},
			},
		},
		{
			name: "history",
			call: func(c *client.Client) (any, error) { return c.PropertyHistory(t.Context(), []string{"P."}, 7) },
			answer: `<euca:R xmlns:euca="e"><euca:events><euca:item><euca:name>P.storage.ncpaths</euca:name><euca:value>nopath</euca:value><euca:oldValue>a</euca:oldValue>
				<euca:time>2026-11-01T12:00:00.5Z</euca:time><euca:accessKey>AK</euca:accessKey><euca:requestId>r1</euca:requestId>
				<euca:reset>true</euca:reset><euca:forced>true</euca:forced></euca:item></euca:events></euca:R>`,
			params: url.Values{"Action": {"DescribePropertyHistory"}, "Property.1": {"P."}, "MaxResults": {"7"}},
			want: []mallee.PropertyEvent{{
				PropertyChange: mallee.PropertyChange{Name: ncpaths, Value: "nopath", OldValue: "a"},
				Time:           time.Date(2026, time.November, 1, 12, 0, 0, 500_000_000, time.UTC), AccessKey: "AK", RequestID: "r1", Reset: true, Forced: true,
			}},
		},
		{
			name:   "history of all",
			call:   func(c *client.Client) (any, error) { return c.PropertyHistory(t.Context(), nil, 0) },
			answer: `<euca:R xmlns:euca="e"><euca:events/></euca:R>`,
			params: url.Values{"Action": {"DescribePropertyHistory"}},
			want:   []mallee.PropertyEvent(nil),
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestCheckPaths(t *testing.T) {
	const name = "P.storage.ncpaths"
	asked := "iface0:10.107.1.200"
	for _, test := range []wireTest{
		{
			name: "what would be",
			call: func(c *client.Client) (any, error) { return c.CheckPaths(t.Context(), name, &asked, true) },
			answer: `<euca:R xmlns:euca="e"><euca:pathCheck><euca:name>P.storage.ncpaths</euca:name><euca:value>iface0:10.107.1.200</euca:value><euca:minPaths>2</euca:minPaths>
				<euca:sites><euca:item><euca:role>nc</euca:role><euca:name>nc1</euca:name><euca:instanceId>i-00000001</euca:instanceId><euca:partition>P</euca:partition>
					<euca:live>true</euca:live><euca:paths>iface0:10.107.1.200</euca:paths><euca:settled>true</euca:settled>
					<euca:devices><euca:item><euca:name>eth1</euca:name><euca:up>true</euca:up><euca:addresses><euca:item>10.107.1.101/24</euca:item><euca:item>fe80::1/64</euca:item></euca:addresses></euca:item></euca:devices>
					<euca:labels><euca:item><euca:label>iface0</euca:label><euca:netDevice>eth1</euca:netDevice><euca:source>/etc/a</euca:source><euca:problem>gone</euca:problem></euca:item></euca:labels>
					<euca:reach><euca:item><euca:text>iface0:10.107.1.200</euca:text><euca:interface>iface0</euca:interface><euca:netDevice>eth1</euca:netDevice><euca:portal>10.107.1.200:3260</euca:portal>
						<euca:state>reachable</euca:state><euca:evidence>tcp</euca:evidence><euca:reason>x</euca:reason></euca:item></euca:reach>
					<euca:warnings><euca:item>w1</euca:item></euca:warnings></euca:item></euca:sites>
				<euca:refused><euca:item>nc1: 1 of 2</euca:item></euca:refused><euca:warnings><euca:item>w2</euca:item><euca:item>w3</euca:item></euca:warnings></euca:pathCheck></euca:R>`,
			params: url.Values{"Action": {"DescribePathReach"}, "Property": {name}, "Value": {asked}, "Probe": {"true"}},
			want: mallee.PathCheck{
				Name: name, Value: asked, MinPaths: 2,
				Sites: []mallee.Site{{
					Role: mallee.RoleNC, Name: "nc1", InstanceID: "i-00000001", Partition: "P", Live: true, Paths: asked, Settled: true,
					Devices: []mallee.NetDevice{{Name: "eth1", Up: true, Addresses: []string{"10.107.1.101/24", "fe80::1/64"}}},
					Labels:  []mallee.InterfaceLabel{{Label: "iface0", NetDevice: "eth1", Source: "/etc/a", Problem: "gone"}},
					Reach: []mallee.Reach{{
						Text: asked, Interface: "iface0", NetDevice: "eth1", Portal: "10.107.1.200:3260",
						State: mallee.Reachable, Evidence: mallee.ByTCP, Reason: "x",
					}},
					Warnings: []string{"w1"},
				}},
				Refused:  []string{"nc1: 1 of 2"},
				Warnings: []string{"w2", "w3"},
			},
		},
		{
			name:   "what is",
			call:   func(c *client.Client) (any, error) { return c.CheckPaths(t.Context(), name, nil, false) },
			answer: `<euca:R xmlns:euca="e"><euca:pathCheck><euca:name>P.storage.ncpaths</euca:name><euca:value>nopath</euca:value></euca:pathCheck></euca:R>`,
			params: url.Values{"Action": {"DescribePathReach"}, "Property": {name}},
			want:   mallee.PathCheck{Name: name, Value: "nopath"},
		},
	} {
		t.Run(test.name, test.run)
	}
}
