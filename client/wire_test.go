// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// wireTest is a call, what goes over the wire for it, and what it returns.
type wireTest struct {
	name   string
	call   func(*client.Client) (any, error)
	answer string
	params url.Values
	want   any
}

func (test wireTest) run(t *testing.T) {
	c, calls := recorder(t, func(url.Values) string { return test.answer })
	got, err := test.call(c)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(test.want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff([]url.Values{test.params}, *calls); d != "" {
		t.Errorf("parameters (-want +got)\n%s", d)
	}
}

// The names of parameters and elements are EC2's. Where we add one, the API's own
// tests hold the two sides together.
func TestWire(t *testing.T) {
	started := time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []wireTest{
		{
			name: "create with type and tags",
			call: func(c *client.Client) (any, error) {
				return c.CreateVolume(t.Context(), mallee.VolumeSpec{Partition: "P", SizeGiB: 2, Type: "gp3", ClientToken: "once", Tags: map[string]string{"team": "web", "Name": "data"}})
			},
			answer: `<R><volumeId>vol-00000001</volumeId><tagSet><item><key>team</key><value>web</value></item></tagSet></R>`,
			params: url.Values{
				"Action": {"CreateVolume"}, "AvailabilityZone": {"P"}, "Size": {"2"}, "VolumeType": {"gp3"}, "ClientToken": {"once"},
				"TagSpecification.1.ResourceType": {"volume"},
				"TagSpecification.1.Tag.1.Key":    {"Name"}, "TagSpecification.1.Tag.1.Value": {"data"},
				"TagSpecification.1.Tag.2.Key": {"team"}, "TagSpecification.1.Tag.2.Value": {"web"},
			},
			want: mallee.Volume{ID: "vol-00000001", Tags: map[string]string{"team": "web"}},
		},
		{
			name: "grow",
			call: func(c *client.Client) (any, error) { return c.ResizeVolume(t.Context(), "vol-00000001", 20) },
			answer: `<R><volumeModification><volumeId>vol-00000001</volumeId><modificationState>modifying</modificationState>
				<originalSize>10</originalSize><targetSize>20</targetSize><startTime>2026-11-01T12:00:00.000Z</startTime></volumeModification></R>`,
			params: url.Values{"Action": {"ModifyVolume"}, "VolumeId": {"vol-00000001"}, "Size": {"20"}},
			want:   mallee.Modification{State: mallee.ModificationModifying, OriginalGiB: 10, TargetGiB: 20, Started: started},
		},
		{
			name:   "growth",
			call:   func(c *client.Client) (any, error) { return c.Modification(t.Context(), "vol-00000001") },
			answer: `<R><volumeModificationSet><item><modificationState>failed</modificationState><statusMessage>the pool is full</statusMessage></item></volumeModificationSet></R>`,
			params: url.Values{"Action": {"DescribeVolumesModifications"}, "VolumeId.1": {"vol-00000001"}},
			want:   &mallee.Modification{State: mallee.ModificationFailed, Message: "the pool is full"},
		},
		{
			name:   "never grown",
			call:   func(c *client.Client) (any, error) { return c.Modification(t.Context(), "vol-00000001") },
			answer: `<R><volumeModificationSet/></R>`,
			params: url.Values{"Action": {"DescribeVolumesModifications"}, "VolumeId.1": {"vol-00000001"}},
			want:   (*mallee.Modification)(nil),
		},
		{
			name:   "status",
			call:   func(c *client.Client) (any, error) { return c.VolumeStatus(t.Context(), "vol-00000001") },
			answer: `<R><volumeStatusSet><item><volumeStatus><status>impaired</status></volumeStatus></item></volumeStatusSet></R>`,
			params: url.Values{"Action": {"DescribeVolumeStatus"}, "VolumeId.1": {"vol-00000001"}},
			want:   client.StatusImpaired,
		},
		{
			name: "partitions",
			call: func(c *client.Client) (any, error) { return c.Partitions(t.Context()) },
			answer: `<R><availabilityZoneInfo>
				<item><zoneName>PARTI00</zoneName><zoneState>available</zoneState><pool><sizeBytes>100</sizeBytes><freeBytes>9</freeBytes>
					<promisedBytes>200</promisedBytes><promiseLimitBytes>300</promiseLimitBytes><metadataSizeBytes>4</metadataSizeBytes>
					<metadataFreeBytes>3</metadataFreeBytes><alarmSet><item>the pool is 91 % full</item></alarmSet></pool></item>
				<item><zoneName>PARTI01</zoneName><zoneState>unavailable</zoneState></item></availabilityZoneInfo></R>`,
			params: url.Values{"Action": {"DescribeAvailabilityZones"}},
			want: []mallee.Partition{
				{Name: "PARTI00", Live: true, Pool: &mallee.Pool{
					SizeBytes: 100, FreeBytes: 9, PromisedBytes: 200, PromiseLimitBytes: 300, MetadataSizeBytes: 4, MetadataFreeBytes: 3,
					Alarms: []string{"the pool is 91 % full"},
				}},
				{Name: "PARTI01"},
			},
		},
		{
			name:   "tags",
			call:   func(c *client.Client) (any, error) { return c.Tags(t.Context(), "vol-00000001") },
			answer: `<R><tagSet><item><resourceId>vol-00000001</resourceId><key>team</key><value>web</value></item></tagSet></R>`,
			params: url.Values{"Action": {"DescribeTags"}, "Filter.1.Name": {"resource-id"}, "Filter.1.Value.1": {"vol-00000001"}, "MaxResults": {"500"}},
			want:   map[string]string{"team": "web"},
		},
		{
			name: "add a tag",
			call: func(c *client.Client) (any, error) {
				return nil, c.AddTags(t.Context(), "i-00000001", map[string]string{"a": ""})
			},
			answer: `<R><return>true</return></R>`,
			params: url.Values{"Action": {"CreateTags"}, "ResourceId.1": {"i-00000001"}, "Tag.1.Key": {"a"}, "Tag.1.Value": {""}},
		},
		{
			name:   "remove tags",
			call:   func(c *client.Client) (any, error) { return nil, c.RemoveTags(t.Context(), "i-00000001", "b", "a") },
			answer: `<R><return>true</return></R>`,
			params: url.Values{"Action": {"DeleteTags"}, "ResourceId.1": {"i-00000001"}, "Tag.1.Key": {"b"}, "Tag.2.Key": {"a"}},
		},
		{
			name: "paths",
			call: func(c *client.Client) (any, error) { return c.Paths(t.Context(), "vol-00000001") },
			answer: `<R><pathSet><item><volumeId>vol-00000001</volumeId><instanceId>i-00000001</instanceId><text>iface0:san1</text><interface>iface0</interface>
				<netDevice>eth1</netDevice><portal>10.107.1.200:3260</portal><state>joining</state><blockDevice>sdb</blockDevice><reason>new</reason></item></pathSet></R>`,
			params: url.Values{"Action": {"DescribePaths"}, "VolumeId.1": {"vol-00000001"}},
			want: []mallee.Path{{
				VolumeID: "vol-00000001", InstanceID: "i-00000001", Text: "iface0:san1", Interface: "iface0", NetDevice: "eth1",
				Portal: "10.107.1.200:3260", State: mallee.PathJoining, BlockDev: "sdb", Reason: "new",
			}},
		},
	} {
		t.Run(test.name, test.run)
	}
}

// EC2 refuses to list the modifications of a volume that has none; a volume that
// is not there is another matter.
func TestModificationOfNothing(t *testing.T) {
	for code, fails := range map[string]bool{"InvalidVolumeModification.NotFound": false, "InvalidVolume.NotFound": true} {
		m, err := answering(t, 400, "<Response><Errors><Error><Code>"+code+"</Code></Error></Errors></Response>").Modification(t.Context(), "vol-00000001")
		if m != nil || (err != nil) != fails {
			t.Errorf("%s: got %v, %v", code, m, err)
		}
	}
}
