// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee"
)

// failure is an error as it stands in an answer's body.
type failure struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string   `xml:"RequestID"`
}

func parseFailure(t *testing.T, body string) failure {
	t.Helper()
	var f failure
	if err := xml.Unmarshal([]byte(body), &f); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return f
}

// values are n values of the first filter.
func values(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&Filter.1.Value.%d=%d", i+1, i)
	}
	return b.String()
}

// The cloud of these tests has vol-00000001, free, and vol-00000002, attached to node1 as /dev/sdf.
func TestBadCallsAreNamed(t *testing.T) {
	s := serve(t)
	ctx := t.Context()
	for range 2 {
		if _, err := s.cloud.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1, ClientToken: ""}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.cloud.AttachVolume(ctx, "vol-00000002", node1, "/dev/sdf"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		call
		status int
		code   string
		names  string // what the message must contain
	}{
		"unknown action":           {call{form: "Action=MakeTea"}, 400, "InvalidAction", "MakeTea"},
		"no action":                {call{form: "A=b"}, 400, "MissingParameter", "Action"},
		"unknown parameter":        {call{form: "Action=CreateVolume&Size=1&AvailabilityZone=PARTI00&OutpostArn=x"}, 400, "UnknownParameter", "OutpostArn"},
		"no size":                  {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00"}, 400, "MissingParameter", "Size"},
		"no zone":                  {call{form: "Action=CreateVolume&Size=1"}, 400, "MissingParameter", "AvailabilityZone"},
		"size 0":                   {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=0"}, 400, "InvalidParameterValue", "0GiB"},
		"negative size":            {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=-5"}, 400, "InvalidParameterValue", "-5GiB"},
		"size is a word":           {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=big"}, 400, "InvalidParameterValue", "(big)"},
		"size over EC2's":          {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=16385"}, 400, "InvalidParameterValue", "16385GiB"},
		"size over the pool's":     {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=101"}, 500, "InsufficientVolumeCapacity", "101"},
		"unknown zone":             {call{form: "Action=CreateVolume&AvailabilityZone=PARTI99&Size=1"}, 400, "InvalidZone.NotFound", "PARTI99"},
		"volume type":              {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&VolumeType=io2"}, 400, "UnknownVolumeType", "io2"},
		"encrypted":                {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&Encrypted=true"}, 400, "UnsupportedOperation", "encrypted"},
		"with a key":               {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&KmsKeyId=x"}, 400, "InvalidParameterDependency", "Encrypted"},
		"from a snapshot":          {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&SnapshotId=snap-1a2b3c4d"}, 400, "InvalidSnapshot.NotFound", "snap-1a2b3c4d"},
		"rate of a standard one":   {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&Iops=100"}, 400, "InvalidParameterCombination", "Iops"},
		"throughput of a gp3":      {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&VolumeType=gp3&Throughput=125"}, 400, "InvalidParameterCombination", "gp3"},
		"for several nodes":        {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&MultiAttachEnabled=true"}, 400, "InvalidParameterCombination", "MultiAttachEnabled"},
		"long token":               {call{form: "Action=CreateVolume&AvailabilityZone=PARTI00&Size=1&ClientToken=" + strings.Repeat("t", 65)}, 400, "InvalidParameterValue", "clientToken"},
		"no volume id":             {call{form: "Action=DeleteVolume"}, 400, "MissingParameter", "VolumeId"},
		"delete an unknown volume": {call{form: "Action=DeleteVolume&VolumeId=vol-99999999"}, 400, "InvalidVolume.NotFound", "vol-99999999"},
		"delete what is no volume": {call{form: "Action=DeleteVolume&VolumeId=foo"}, 400, "InvalidParameterValue", "Value (foo) for parameter volumeId is invalid. Expected: 'vol-...'."},
		"malformed volume id":      {call{form: "Action=DeleteVolume&VolumeId=vol-XYZ"}, 400, "InvalidVolumeID.Malformed", "vol-XYZ"},
		"delete while attached":    {call{form: "Action=DeleteVolume&VolumeId=vol-00000002"}, 400, "VolumeInUse", "vol-00000002"},
		"attach to two nodes":      {call{form: "Action=AttachVolume&VolumeId=vol-00000002&InstanceId=i-00000002&Device=/dev/sdg"}, 400, "VolumeInUse", "vol-00000002"},
		"attach an unknown volume": {call{form: "Action=AttachVolume&VolumeId=vol-99999999&InstanceId=i-00000001&Device=/dev/sdf"}, 400, "InvalidVolume.NotFound", "vol-99999999"},
		"attach to nobody":         {call{form: "Action=AttachVolume&VolumeId=vol-00000001&InstanceId=i-99999999&Device=/dev/sdf"}, 400, "InvalidInstanceID.NotFound", "i-99999999"},
		"malformed instance id":    {call{form: "Action=AttachVolume&VolumeId=vol-00000001&InstanceId=i-nc1&Device=/dev/sdf"}, 400, "InvalidInstanceID.Malformed", "i-nc1"},
		"attach to what is none":   {call{form: "Action=AttachVolume&VolumeId=vol-00000001&InstanceId=nc1&Device=/dev/sdf"}, 400, "InvalidParameterValue", "(nc1)"},
		"attach to a node away":    {call{form: "Action=AttachVolume&VolumeId=vol-00000001&InstanceId=i-00000003&Device=/dev/sdf"}, 400, "IncorrectState", "i-00000003"},
		"attach across zones":      {call{form: "Action=AttachVolume&VolumeId=vol-00000001&InstanceId=i-00000004&Device=/dev/sdf"}, 400, "InvalidVolume.ZoneMismatch", "i-00000004"},
		"malformed device":         {call{form: "Action=AttachVolume&VolumeId=vol-00000001&InstanceId=i-00000001&Device=sd%3Brm"}, 400, "InvalidParameterValue", "sd;rm"},
		"no device":                {call{form: "Action=AttachVolume&VolumeId=vol-00000001&InstanceId=i-00000001"}, 400, "MissingParameter", "Device"},
		"detach what is free":      {call{form: "Action=DetachVolume&VolumeId=vol-00000001"}, 400, "IncorrectState", "'available' state"},
		"detach from elsewhere":    {call{form: "Action=DetachVolume&VolumeId=vol-00000002&InstanceId=i-00000002"}, 400, "InvalidAttachment.NotFound", "vol-00000002"},
		"detach another device":    {call{form: "Action=DetachVolume&VolumeId=vol-00000002&Device=/dev/sdx"}, 400, "InvalidAttachment.NotFound", "vol-00000002"},
		"force":                    {call{form: "Action=DetachVolume&VolumeId=vol-00000002&Force=true"}, 400, "UnsupportedOperation", "vol-00000002"},
		"describe the unknown":     {call{form: "Action=DescribeVolumes&VolumeId.1=vol-00000001&VolumeId.2=vol-99999999"}, 400, "InvalidVolume.NotFound", "vol-99999999"},
		"describe two unknown":     {call{form: "Action=DescribeVolumes&VolumeId.1=vol-88888888&VolumeId.2=vol-00000001&VolumeId.3=vol-99999999"}, 400, "InvalidVolume.NotFound", "The volumes 'vol-88888888, vol-99999999' do not exist."},
		"status of the unknown":    {call{form: "Action=DescribeVolumeStatus&VolumeId.1=vol-99999999"}, 400, "InvalidVolume.NotFound", "vol-99999999"},
		"attribute of the unknown": {call{form: "Action=DescribeVolumeAttribute&VolumeId=vol-99999999&Attribute=autoEnableIO"}, 400, "InvalidVolume.NotFound", "vol-99999999"},
		"unknown attribute":        {call{form: "Action=DescribeVolumeAttribute&VolumeId=vol-00000001&Attribute=colour"}, 400, "InvalidParameterValue", "colour"},
		"two unknown instances":    {call{form: "Action=DescribeInstances&InstanceId.1=i-88888888&InstanceId.2=i-99999999"}, 400, "InvalidInstanceID.NotFound", "'i-88888888, i-99999999'"},
		"describe what is none":    {call{form: "Action=DescribeVolumes&VolumeId.1=foo"}, 400, "InvalidParameterValue", "(foo)"},
		"paths of the unknown":     {call{form: "Action=DescribePaths&VolumeId.1=vol-99999999"}, 400, "InvalidVolume.NotFound", "vol-99999999"},
		"unknown instance":         {call{form: "Action=DescribeInstances&InstanceId.1=i-99999999"}, 400, "InvalidInstanceID.NotFound", "i-99999999"},
		"unknown filter":           {call{form: "Action=DescribeVolumes&Filter.1.Name=colour&Filter.1.Value.1=red"}, 400, "InvalidParameterValue", "colour"},
		"filter without values":    {call{form: "Action=DescribeVolumes&Filter.1.Name=status"}, 400, "InvalidParameterValue", "status"},
		"too many filter values":   {call{form: "Action=DescribeVolumes&Filter.1.Name=size" + values(201)}, 400, "FilterLimitExceeded", "200"},
		"endless filter value":     {call{form: "Action=DescribeVolumes&Filter.1.Name=size&Filter.1.Value.1=" + strings.Repeat("%C3%A9", 256)}, 400, "InvalidParameterValue", "255"},
		"token of another list":    {call{form: "Action=DescribeInstances&NextToken=dm9sdW1lOnZvbC0xYTJiM2M0ZA"}, 400, "InvalidNextToken", "dm9s"},
		"page of no volumes":       {call{form: "Action=DescribeVolumes&MaxResults=0"}, 400, "InvalidParameterValue", "(0)"},
		"page too small":           {call{form: "Action=DescribeTags&MaxResults=4"}, 400, "InvalidParameterValue", "(4)"},
		"page of named volumes":    {call{form: "Action=DescribeVolumes&MaxResults=5&VolumeId.1=vol-00000001"}, 400, "InvalidParameterCombination", "VolumeId"},
		"forged page token":        {call{form: "Action=DescribeVolumes&NextToken=Zm9v"}, 400, "InvalidNextToken", "Zm9v"},
		"dry run":                  {call{form: "Action=DeleteVolume&VolumeId=vol-00000001&DryRun=true"}, 412, "DryRunOperation", "DryRun"},
		"dry run of a bad call":    {call{form: "Action=DeleteVolume&VolumeId=foo&DryRun=true"}, 400, "InvalidParameterValue", "(foo)"},
		"version given twice":      {call{form: "Action=DescribeVolumes&Version=2016-11-15"}, 400, "InvalidParameterCombination", "Version"},
		"unknown key":              {call{form: "Action=DescribeVolumes", signature: signature{key: "AKIANOBODY"}}, 401, "AuthFailure", "credentials"},
		"forged signature":         {call{form: "Action=DescribeVolumes", signature: signature{secret: "guess"}}, 401, "AuthFailure", "credentials"},
		"expired signature":        {call{form: "Action=DescribeVolumes", signature: signature{at: time.Now().Add(-time.Hour)}}, 400, "RequestExpired", "signed at"},
		"signed for s3":            {call{form: "Action=DescribeVolumes", signature: signature{service: "s3"}}, 401, "AuthFailure", "s3"},
		"over 1 MiB":               {call{form: "Action=DescribeVolumes&X=" + strings.Repeat("x", 1<<20)}, 413, "RequestEntityTooLarge", "1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := s.post(t, c.call)
			f := parseFailure(t, body)
			if status != c.status || f.Code != c.code || !strings.Contains(f.Message, c.names) {
				t.Errorf("got %d %s %q, want %d %s with %q in its message", status, f.Code, f.Message, c.status, c.code, c.names)
			}
			if f.RequestID == "" || header.Get("x-amzn-RequestId") != f.RequestID {
				t.Errorf("request id is %q in the body and %q in the header", f.RequestID, header.Get("x-amzn-RequestId"))
			}
		})
	}
	if volumes, _ := s.cloud.Volumes(ctx); len(volumes) != 2 || volumes[0].Attachment != nil || volumes[1].Attachment == nil {
		t.Errorf("bad calls have changed something: %+v", volumes)
	}
}

func TestFaultsOfOursTellNothing(t *testing.T) {
	const secret = "lvcreate: /dev/sda failed, password hunter2"
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
		level  string // of the line in the log
	}{
		"plain error":     {errors.New(secret), 500, "InternalError", "ERROR"},
		"internal":        {failed("create", mallee.Internal, "x", secret), 500, "InternalError", "ERROR"},
		"unavailable":     {failed("create", mallee.Unavailable, "PARTI00", "no storage controller is connected"), 503, "Unavailable", "WARN"},
		"denied":          {failed("create", mallee.Denied, "PARTI00", "not yours"), 403, "UnauthorizedOperation", "INFO"},
		"mismatch":        {failed("create", mallee.Mismatch, "tok", "other size"), 400, "IdempotentParameterMismatch", "INFO"},
		"invalid":         {failed("create", mallee.Invalid, "PARTI00", "too large for the partition"), 400, "InvalidParameterValue", "INFO"},
		"malformed id":    {failed("create", mallee.Malformed, "x-1", "no id"), 400, "InvalidParameterValue", "INFO"},
		"read-only":       {failed("create", mallee.ReadOnly, "x", "cannot be set"), 400, "OperationNotPermitted", "INFO"},
		"wrapped":         {fmt.Errorf("%s: %w", secret, failed("create", mallee.NotFound, "PARTI07", "gone")), 400, "InvalidZone.NotFound", "INFO"},
		"pool too small":  {failed("create", mallee.Exhausted, "PARTI00", "it is full"), 500, "InsufficientVolumeCapacity", "INFO"},
		"too much":        {failed("create", mallee.OverLimit, "PARTI00", "more than storage.maxtotalvolumesizeingb allows"), 400, "VolumeLimitExceeded", "INFO"},
		"ran out of time": {fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), 503, "Unavailable", "WARN"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.cloud.broken = c.err
			status, _, body := s.post(t, call{form: "Action=CreateVolume&Size=1&AvailabilityZone=PARTI00"})
			f := parseFailure(t, body)
			if status != c.status || f.Code != c.code {
				t.Errorf("got %d %s, want %d %s", status, f.Code, c.status, c.code)
			}
			if strings.Contains(body, "hunter2") {
				t.Errorf("the answer tells raw output: %s", body)
			}
			if line := s.log.String(); !strings.Contains(line, `"level":"`+c.level+`"`) || strings.Count(line, "\n") != 1 {
				t.Errorf("the log says %s, want one line of level %s", line, c.level)
			}
			if strings.Contains(c.err.Error(), "hunter2") && c.status >= 500 && !strings.Contains(s.log.String(), "hunter2") {
				t.Error("the log does not tell the cause")
			}
		})
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	s := serve(t)
	s.cloud.volumes = nil // a write to it panics
	status, _, body := s.post(t, call{form: "Action=CreateVolume&Size=1&AvailabilityZone=PARTI00"})
	if f := parseFailure(t, body); status != 500 || f.Code != "InternalError" || f.RequestID == "" {
		t.Errorf("got %d %s for request %q", status, f.Code, f.RequestID)
	}
	for _, want := range []string{`"level":"ERROR"`, "nil map", "memcloud_test.go", `"action":"CreateVolume"`} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, s.log)
		}
	}
	if status, _, _ := s.post(t, call{form: "Action=DescribeVolumes"}); status != 200 {
		t.Errorf("the next call gets %d", status)
	}
}
