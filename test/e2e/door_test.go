// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee/test/scenario"
)

// code returns the EC2 error code of an SDK error.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func testProperties(t *testing.T, w *world) {
	ctx := patience(t, time.Minute)
	out, err := w.Tool(ctx, "euca-describe-properties", "--verbose", scenario.Partition+".storage.ncpaths")
	must(t, err)
	want := "PROPERTY\tPARTI00.storage.ncpaths\t10.107.1.200,10.107.1.201,10.108.1.200,10.108.1.201\n" +
		"DESCRIPTION\tPARTI00.storage.ncpaths\tiSCSI Paths for NC. Default value is 'nopath'\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("euca-describe-properties (-want +got):\n%s", diff)
	}
	for _, test := range []struct{ name, value, says string }{
		{"storage.ncpaths", "10.107.1.200,10.107.1.300", "element 2 (at character 14), \"10.107.1.300\""},
		{"storage.ncpaths", ";reboot:10.107.1.200", ";reboot"},
		{"storage.ncpaths", "10.107.1.200,,10.107.1.201", "empty"},
		{"storage.sanhost", "10.109.1.300", "10.109.1.300"},
		{"storage.nopathtimeout", "soon", "soon"},
		{"storage.nosuch", "1", "No such property"},
	} {
		err := w.SetProperty(ctx, test.name, test.value)
		if failure, ok := errors.AsType[*scenario.ToolError](err); !ok || failure.ExitCode != 1 || !strings.Contains(failure.Stderr, test.says) {
			t.Errorf("%s=%s: %v, want exit code 1 and %q", test.name, test.value, err, test.says)
		}
	}
	again, err := w.Tool(ctx, "euca-describe-properties", "--verbose", scenario.Partition+".storage.ncpaths")
	must(t, err)
	if again != out {
		t.Errorf("a refused value changed the property to %q", again)
	}
	changed, err := w.Tool(ctx, "euca-modify-property", "-p", "PARTI00.storage.nopathtimeout=60")
	must(t, err)
	if want := "PROPERTY\tPARTI00.storage.nopathtimeout\t60 was 120\n"; changed != want {
		t.Errorf("euca-modify-property printed %q, want %q", changed, want)
	}
	_, err = w.Tool(ctx, "euca-modify-property", "-r", "PARTI00.storage.nopathtimeout")
	must(t, err)
}

func testBadInput(t *testing.T, w *world) {
	ctx := patience(t, 3*time.Minute)
	volume := w.create(t)
	const unknown, nobody = "vol-00000000000000000", "i-00000000000000000"
	attach := func(volume, instance, device string) error {
		_, err := w.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &instance, Device: &device})
		return err
	}
	size := func(n int32, zone string) error {
		_, err := w.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: &n})
		return err
	}
	remove := func(id string) error {
		_, err := w.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id})
		return err
	}
	detach := func(id string) error {
		_, err := w.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &id})
		return err
	}
	check := func(name string, err error, wantCode, names string) {
		t.Helper()
		if code(err) != wantCode || !strings.Contains(fmt.Sprint(err), names) {
			t.Errorf("%s: %v, want %s naming %q", name, err, wantCode, names)
		}
	}
	check("unknown volume", attach(unknown, w.instance, "/dev/sdf"), "InvalidVolume.NotFound", unknown)
	check("unknown instance", attach(volume, nobody, "/dev/sdf"), "InvalidInstanceID.NotFound", nobody)
	check("malformed device", attach(volume, w.instance, "/dev/../etc"), "InvalidParameterValue", "/dev/../etc")
	check("malformed volume id", remove("vol-../x"), "InvalidVolumeID.Malformed", "vol-../x")
	check("size 0", size(0, scenario.Partition), "InvalidParameterValue", "0")
	check("size beyond the property", size(9000, scenario.Partition), "InvalidParameterValue", "maxvolumesizeingb")
	check("size beyond the pool", size(100, scenario.Partition), "InsufficientVolumeCapacity", "100")
	check("unknown zone", size(1, "PARTI99"), "InvalidZone.NotFound", "PARTI99")
	check("delete unknown", remove(unknown), "InvalidVolume.NotFound", unknown)
	check("detach of what is not attached", detach(volume), "IncorrectState", volume)

	w.attach(t, volume)
	second, err := w.InstanceOf(patience(t, time.Minute), "nc2")
	must(t, err)
	check("attach to two nodes", attach(volume, second, "/dev/sdf"), "VolumeInUse", w.instance)
	check("delete while attached", remove(volume), "VolumeInUse", volume)
	check("attach twice", attach(volume, w.instance, "/dev/sdg"), "VolumeInUse", volume)
	w.detach(t, volume)
	w.remove(t, volume)

	// What stock users see of an error, on their terminal.
	_, err = w.AWS(ctx, "delete-volume", "--volume-id", unknown)
	if failure, ok := errors.AsType[*scenario.ToolError](err); !ok || failure.ExitCode != 254 || !strings.Contains(failure.Stderr, "InvalidVolume.NotFound") {
		t.Errorf("aws ec2 delete-volume of an unknown volume: %v", err)
	}
}

func testBadSignature(t *testing.T, w *world) {
	ctx := patience(t, time.Minute)
	id, err := w.ec2.Options().Credentials.Retrieve(ctx)
	must(t, err)
	for name, keys := range map[string][2]string{
		"forged secret": {id.AccessKeyID, "0123456789012345678901234567890123456789"},
		"unknown key":   {"AKIA0000000000000000", id.SecretAccessKey},
	} {
		client, err := w.EC2As(keys[0], keys[1])
		must(t, err)
		_, err = client.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
		if code(err) != "AuthFailure" {
			t.Errorf("%s: %v, want AuthFailure", name, err)
		}
	}
	// A request that was signed an hour ago. The SDK itself would not send one.
	query := "Action=DescribeVolumes&Version=2016-11-15"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scenario.Endpoint+"/?"+query, nil)
	must(t, err)
	nothing := sha256.Sum256(nil)
	must(t, v4.NewSigner().SignHTTP(ctx, id, req, hex.EncodeToString(nothing[:]), "ec2", "mallee", time.Now().Add(-time.Hour)))
	reply, err := w.ec2.Options().HTTPClient.Do(req)
	must(t, err)
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	must(t, err)
	if reply.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "<Code>RequestExpired</Code>") {
		t.Errorf("an old signature: status %d, %s", reply.StatusCode, body)
	}
}
