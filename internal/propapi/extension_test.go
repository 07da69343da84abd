// SPDX-License-Identifier: Apache-2.0

package propapi_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

func somePathCheck(name string) mallee.PathCheck {
	return mallee.PathCheck{
		Name: name, Value: "iface0:10.107.1.200,san1", MinPaths: 2,
		Sites: []mallee.Site{{
			Role: mallee.RoleNC, Name: "nc1", InstanceID: "i-1a2b3c4d", Partition: "PARTI00", Live: true, Paths: "nopath", Settled: true,
			Devices: []mallee.NetDevice{{Name: "eth1", Up: true, Addresses: []string{"10.107.1.101/24", "fe80::1/64"}}, {Name: "eth2"}},
			Labels:  []mallee.InterfaceLabel{{Label: "iface0", NetDevice: "eth1", Source: "/etc/eucalyptus/eucalyptus.conf", Problem: "no such device"}},
			Reach: []mallee.Reach{
				{Text: "iface0:10.107.1.200", Interface: "iface0", NetDevice: "eth1", Portal: "10.107.1.200:3260", State: mallee.Reachable, Evidence: mallee.BySession},
				{Text: "san1", State: mallee.Unresolved, Reason: "being looked up"},
			},
			Warnings: []string{"eth2 is down"},
		}},
		Refused:  []string{"nc1 would have 1 of 2 paths"},
		Warnings: []string{"nc2 is offline"},
	}
}

func TestSetOfSeveral(t *testing.T) {
	p := newMemProperties()
	c, _ := serve(t, p)
	seen, other := "10.109.1.25", "10.109.1.1"
	_, _, err := c.SetProperties(t.Context(), []mallee.PropertySet{{Name: ncpaths, Value: "10.107.1.200"}, {Name: sanhost, Reset: true, If: &other}}, false)
	wantCode(t, err, "PropertyChanged", "Failed to set property: "+sanhost)
	if d := cmp.Diff(newMemProperties().list, p.list); d != "" {
		t.Errorf("a set that failed has changed something (-want +got)\n%s", d)
	}
	changes, warnings, err := c.SetProperties(t.Context(), []mallee.PropertySet{{Name: ncpaths, Value: "10.107.1.200"}, {Name: sanhost, Reset: true, If: &seen}}, true)
	want := []mallee.PropertyChange{{Name: ncpaths, Value: "10.107.1.200", OldValue: "nopath"}, {Name: sanhost, OldValue: seen}}
	if d := cmp.Diff(want, changes); d != "" || err != nil || len(warnings) != 2 || warnings[1] != "nc3 is offline" {
		t.Error(d, warnings, err)
	}
	events, err := c.PropertyHistory(t.Context(), []string{"PARTI00"}, 1)
	wantEvents := []mallee.PropertyEvent{{PropertyChange: want[1], Time: epoch, AccessKey: accessKey, RequestID: "r-1", Reset: true, Forced: true}}
	if d := cmp.Diff(wantEvents, events); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestPathCheckTravelsWhole(t *testing.T) {
	c, _ := serve(t, newMemProperties())
	got, err := c.CheckPaths(t.Context(), ncpaths, nil, false)
	if d := cmp.Diff(somePathCheck(ncpaths), got); d != "" || err != nil {
		t.Error(d, err)
	}
	value := "10.0.0.1"
	got, err = c.CheckPaths(t.Context(), ncpaths, &value, true)
	if err != nil || got.Value != value || got.Sites[0].Reach[0].Evidence != mallee.ByTCP {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.CheckPaths(t.Context(), sanhost, nil, false)
	wantCode(t, err, "InvalidParameterValue", sanhost+": it is no list of paths")
}

// What machines would be left with is told whole, however many there are, and
// the set can be forced over the API of the original too.
func TestUnreachablePathsAreRefused(t *testing.T) {
	p := newMemProperties()
	table := strings.Repeat("nc1  10.107.1.200  unreachable  does not answer ARP\n", 100)
	p.broken = &mallee.Error{Op: "set", Kind: mallee.PathsUnreachable, ID: ncpaths, Err: errors.New(table + "end"), Hint: "use mallee property set --force"}
	c, _ := serve(t, p)
	_, err := c.SetProperty(t.Context(), ncpaths, "10.107.1.200")
	wantCode(t, err, "PathsUnreachable", "Failed to set property: "+ncpaths+": "+table+"end. use mallee property set --force")
	status, body := post(t, p, url.Values{"Action": {"ModifyPropertyValue"}, "Version": {"eucalyptus"}, "Name": {ncpaths}, "Value": {"10.107.1.200"}, "Force": {"true"}})
	if status != http.StatusOK || !strings.Contains(body, "<euca:warnings><euca:item>nc2 would have 0 of 2 paths</euca:item><euca:item>nc3 is offline</euca:item></euca:warnings>") {
		t.Errorf("%d %s", status, body)
	}
}

func wantCode(t *testing.T, err error, code, message string) {
	t.Helper()
	refused, ok := errors.AsType[*client.APIError](err)
	if !ok || refused.Status != http.StatusBadRequest || refused.Code != code || !strings.HasPrefix(refused.Message, message) {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}
