// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// What is on the wire is what clients of any language parse, so it is held fast
// to the letter.
func TestWire(t *testing.T) {
	s := serve(t)
	_, header, got := s.post(t, call{form: "Action=CreateVolume&Size=1&AvailabilityZone=PARTI00"})
	id := header.Get("x-amzn-RequestId")
	want := `<?xml version="1.0" encoding="UTF-8"?>
<CreateVolumeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>` + id + `</requestId>` +
		`<volumeId>vol-00000001</volumeId><size>1</size><snapshotId></snapshotId><availabilityZone>PARTI00</availabilityZone>` +
		`<status>available</status><createTime>2026-11-22T12:00:00.123Z</createTime><attachmentSet></attachmentSet><tagSet></tagSet>` +
		`<volumeType>standard</volumeType><encrypted>false</encrypted><multiAttachEnabled>false</multiAttachEnabled>` +
		`<wwid>3600140512345678123456781234567812</wwid><statusMessage>a &lt;remark&gt; &amp; more</statusMessage></CreateVolumeResponse>`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := header.Get("Content-Type"); got != "text/xml;charset=UTF-8" {
		t.Errorf("the content type is %s", got)
	}

	_, header, got = s.post(t, call{form: "Action=DeleteVolume&VolumeId=vol-%3C"})
	want = `<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>InvalidVolumeID.Malformed</Code><Message>Invalid id: &#34;vol-&lt;&#34; (expecting &#34;vol-...&#34;)</Message></Error></Errors>` +
		`<RequestID>` + header.Get("x-amzn-RequestId") + `</RequestID></Response>`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestMethodsAndVersions(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct {
		method, version string
		status          int
		contains        string
	}{
		"GET":         {http.MethodGet, "2016-11-15", 200, `xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"`},
		"POST":        {http.MethodPost, "2014-06-15", 200, `xmlns="http://ec2.amazonaws.com/doc/2014-06-15/"`},
		"PUT":         {http.MethodPut, "2016-11-15", 405, "MethodNotAllowed"},
		"no version":  {http.MethodGet, "", 400, "MissingParameter"},
		"bad version": {http.MethodGet, `"><a`, 400, "NoSuchVersion"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+"/?Action=DescribeVolumes&Version="+url.QueryEscape(c.version), nil)
			if err != nil {
				t.Fatal(err)
			}
			signature{}.sign(t, r, "")
			if status, _, body := s.send(t, r); status != c.status || !strings.Contains(body, c.contains) {
				t.Errorf("got %d %s, want %d and %s", status, body, c.status, c.contains)
			}
		})
	}
}

func TestLongValueIsNotEchoedWhole(t *testing.T) {
	s := serve(t)
	_, _, body := s.post(t, call{form: "Action=DeleteVolume&VolumeId=" + strings.Repeat("é", 100_000)})
	if f := parseFailure(t, body); len(f.Message) > 1100 || f.Code != "InvalidParameterValue" {
		t.Errorf("%s with a message of %d bytes", f.Code, len(f.Message))
	}
}

func TestEachCallIsLoggedAndCounted(t *testing.T) {
	s := serve(t)
	_, header, _ := s.post(t, call{form: "Action=DeleteVolume&VolumeId=vol-99999999"})
	s.post(t, call{form: "Action=NoSuchThing" + strings.Repeat("1", 1000)})
	s.post(t, call{form: "Action=DescribeVolumes", signature: signature{secret: "guess"}})

	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("three calls have %d lines", len(lines))
	}
	for i, want := range []map[string]any{
		{
			"msg": "api call", "action": "DeleteVolume", "access_key": accessKey, "code": "InvalidVolume.NotFound",
			"status": 400.0, "request_id": header.Get("x-amzn-RequestId"),
		},
		{"action": "", "access_key": accessKey, "code": "InvalidAction"},
		{"action": "", "access_key": "", "claimed_access_key": accessKey, "code": "AuthFailure"},
	} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		for key := range want {
			if line[key] != want[key] {
				t.Errorf("line %d: %s is %v, want %v", i, key, line[key], want[key])
			}
		}
	}
	if strings.Contains(s.log.String(), "NoSuchThing") || strings.Contains(s.log.String(), secretKey) {
		t.Errorf("the log holds what a stranger wrote, or a secret: %s", s.log)
	}
	w := httptest.NewRecorder()
	telemetry.MetricsHandler(s.registry).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`mallee_api_calls_total{action="",api="ec2",code="InvalidAction"} 1`,
		`mallee_api_calls_total{action="DeleteVolume",api="ec2",code="InvalidVolume.NotFound"} 1`,
		`mallee_api_call_seconds_count{action="DeleteVolume",api="ec2"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("the metrics lack %s:\n%s", want, w.Body)
		}
	}
}

func TestWhenANodeWasSeenIsToldOnlyIfItIsKnown(t *testing.T) {
	s := serve(t)
	_, _, body := s.post(t, call{form: "Action=DescribeInstances"})
	if n := strings.Count(body, "<lastSeen>"); n != 2 {
		t.Errorf("it is told of %d nodes, want 2:\n%s", n, body)
	}
}

// Our own client gives back what the cloud has, in the root package's nouns.
func TestOurClient(t *testing.T) {
	s := serve(t)
	c, ctx := s.ours(t), t.Context()
	v, err := c.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 3, ClientToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s.cloud.volumes[v.ID], v); d != "" {
		t.Errorf("created (-want +got)\n%s", d)
	}
	a, err := c.AttachVolume(ctx, v.ID, node1, "/dev/sdf")
	if err != nil {
		t.Fatal(err)
	}
	want := s.cloud.volumes[v.ID]
	if d := cmp.Diff(*want.Attachment, a); d != "" {
		t.Errorf("attached (-want +got)\n%s", d)
	}
	if got, err := c.Volume(ctx, v.ID); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("described (-want +got)\n%s%v", cmp.Diff(want, got), err)
	}
	if got, err := c.Volumes(ctx); err != nil || cmp.Diff([]mallee.Volume{want}, got) != "" {
		t.Errorf("listed %v, %v", got, err)
	}
	paths, err := c.Paths(ctx, v.ID)
	wantPaths, _ := s.cloud.Paths(ctx)
	if err != nil || cmp.Diff(wantPaths, paths) != "" {
		t.Errorf("paths (-want +got)\n%s%v", cmp.Diff(wantPaths, paths), err)
	}
	nodes, err := c.Nodes(ctx)
	all, _ := s.cloud.Nodes(ctx)
	if wantNodes := []mallee.Node{all[1], all[0], all[2]}; err != nil || cmp.Diff(wantNodes, nodes) != "" {
		t.Errorf("nodes (-want +got)\n%s%v", cmp.Diff(wantNodes, nodes), err)
	}
	if _, err := c.DetachVolume(ctx, v.ID, "", ""); err != nil {
		t.Error(err)
	}
	if paths, err := c.Paths(ctx); err != nil || len(paths) != 0 {
		t.Errorf("paths of nothing: %v, %v", paths, err)
	}
	if err := c.DeleteVolume(ctx, v.ID); err != nil {
		t.Error(err)
	}
	if list, err := c.Volumes(ctx); err != nil || len(list) != 0 {
		t.Errorf("listed %v, %v after the last was deleted", list, err)
	}
}
