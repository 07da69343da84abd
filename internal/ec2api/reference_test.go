// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	diff "github.com/google/go-cmp/cmp"
)

const reference = "../../docs/reference/ec2.md"

// amazon has the SDK's input of each action that Amazon has, which names all
// parameters.
var amazon = map[string]any{
	"CreateVolume":                 ec2.CreateVolumeInput{},
	"DescribeVolumes":              ec2.DescribeVolumesInput{},
	"DescribeVolumeStatus":         ec2.DescribeVolumeStatusInput{},
	"DescribeVolumeAttribute":      ec2.DescribeVolumeAttributeInput{},
	"ModifyVolume":                 ec2.ModifyVolumeInput{},
	"DescribeVolumesModifications": ec2.DescribeVolumesModificationsInput{},
	"DeleteVolume":                 ec2.DeleteVolumeInput{},
	"AttachVolume":                 ec2.AttachVolumeInput{},
	"DetachVolume":                 ec2.DetachVolumeInput{},
	"DescribeInstances":            ec2.DescribeInstancesInput{},
	"DescribeInstanceStatus":       ec2.DescribeInstanceStatusInput{},
	"DescribeAvailabilityZones":    ec2.DescribeAvailabilityZonesInput{},
	"DescribeRegions":              ec2.DescribeRegionsInput{},
	"DescribeAccountAttributes":    ec2.DescribeAccountAttributesInput{},
	"CreateTags":                   ec2.CreateTagsInput{},
	"DeleteTags":                   ec2.DeleteTagsInput{},
	"DescribeTags":                 ec2.DescribeTagsInput{},
}

// The page is made from the table of actions and held to it.
// UPDATE_SCRIPTS=1 go test ./internal/ec2api writes it.
func TestReference(t *testing.T) {
	page := referencePage(t)
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(reference, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(string(have), page); d != "" {
		t.Errorf("the page is not what the API is: UPDATE_SCRIPTS=1 go test ./internal/ec2api (-page +API)\n%s", d)
	}
}

func referencePage(t *testing.T) string {
	var theirs, ours strings.Builder
	for _, a := range (api{}).actions() {
		out, supported := &ours, parametersOf(a.in)
		var rows []string
		if input, ok := amazon[a.Name]; ok {
			out = &theirs
			rows = unsupported(reflect.TypeOf(input), supported)
			for name := range supported {
				if !hasParameter(reflect.TypeOf(input), name) {
					t.Errorf("%s takes %s, which Amazon's does not", a.Name, name)
				}
			}
		}
		for name, note := range supported {
			rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", name, note))
		}
		slices.Sort(rows)
		fmt.Fprintf(out, "\n### %s\n\n| parameter | here |\n|---|---|\n%s", a.Name, strings.Join(rows, ""))
		if f, ok := reflect.Zero(a.in).Interface().(interface{ filterNames() []string }); ok {
			fmt.Fprintf(out, "\nFilters: `%s`.\n", strings.Join(f.filterNames(), "`, `"))
		}
	}
	return referenceHead + theirs.String() + "\n## Actions of Mallee\n" + ours.String()
}

// parametersOf returns the parameters that a struct takes, but DryRun, with what
// there is to say of each.
func parametersOf(in reflect.Type) map[string]string {
	all := map[string]string{}
	for field := range in.Fields() {
		if field.Anonymous {
			maps.Copy(all, parametersOf(field.Type))
			continue
		}
		name, option, _ := strings.Cut(field.Tag.Get("query"), ",")
		all[name] = cmp.Or(strings.Trim(option+"; "+field.Tag.Get("note"), "; "), "yes")
	}
	delete(all, "DryRun")
	return all
}

// unsupported returns a row for each field of the SDK's input that is none of
// the parameters.
func unsupported(input reflect.Type, parameters map[string]string) []string {
	var rows []string
	for field := range input.Fields() {
		taken := func(name string) bool { _, ok := parameters[name]; return ok }
		if field.IsExported() && field.Name != "DryRun" && !slices.ContainsFunc(spellings(field.Name), taken) {
			rows = append(rows, fmt.Sprintf("| `%s` | no |\n", field.Name))
		}
	}
	return rows
}

func hasParameter(input reflect.Type, name string) bool {
	for field := range input.Fields() {
		if slices.Contains(spellings(field.Name), name) {
			return true
		}
	}
	return false
}

// spellings returns how a field of the SDK may be spelt in a request: a list has
// its element's name there.
func spellings(field string) []string {
	element := strings.TrimSuffix(field, "s")
	return []string{field, element, element + "Id"}
}

const referenceHead = `# The EC2 API

<!-- Made from the table of actions: UPDATE_SCRIPTS=1 go test ./internal/ec2api -->

Mallee answers these actions of Amazon EC2 as Amazon does, with its XML, error codes
and HTTP statuses, so that the aws CLI, boto3, Amazon's other SDKs and Terraform's
` + "`aws_ebs_volume`" + ` and ` + "`aws_volume_attachment`" + ` work unchanged. An availability zone is a
partition, an instance is a node. The API stands at ` + "`/`" + ` and ` + "`/services/compute`" + `, for any
version asked for, whose namespace the answer has.

What an action does not know it refuses: ` + "`InvalidAction`" + `, ` + "`UnknownParameter`" + `, and
` + "`InvalidParameterValue`" + ` for a filter. Every action takes ` + "`DryRun`" + `. A parameter
that is there for one value only is refused with any other.

- Lists: without ` + "`MaxResults`" + `, which has Amazon's limits, an answer has everything.
  ` + "`NextToken`" + ` stays good while things come and go. The word ` + "`verbose`" + ` in place of an id stands for all.
- Filters: ` + "`*`" + ` stands for any characters, ` + "`?`" + ` for one, a backslash before them for
  themselves; at most 200 values in a call, of 255 characters each.
- Ids that do not exist are named all at once; one of a wrong form is refused first.
- The same request with the same signature is carried out once, and ` + "`ClientToken`" + ` makes
  one volume however often ` + "`CreateVolume`" + ` is called with it.
- Tags: 50 on a thing, keys of 128 and values of 256 characters, no ` + "`aws:`" + ` in front and
  no control characters. An instance without the tag ` + "`Name`" + ` has its node's name there.
- ` + "`ModifyVolume`" + ` grows a volume, also one in use. It is ` + "`modifying`" + ` until the SAN has made
  it larger, ` + "`optimizing`" + ` until the device on the node is, then ` + "`completed`" + `. When the pool
  has no room it is ` + "`failed`" + `, ` + "`statusMessage`" + ` says why, and the volume is as it was.
- ` + "`DescribeVolumeStatus`" + ` is ` + "`impaired`" + ` when a path of an attached volume is not up, and
  an event says which; ` + "`insufficient-data`" + ` while nobody knows.
- An instance is ` + "`running`" + ` while its agent is connected and ` + "`stopped`" + ` otherwise. A zone is
  ` + "`available`" + ` while its storage controller is connected.

Beyond Amazon's elements: ` + "`wwid`, `statusMessage`" + ` of a volume; ` + "`hostDevice`, `generation`," + `
` + "`statusMessage`" + ` of an attachment; ` + "`initiator`, `lastSeen`" + ` of an instance; ` + "`pool`" + ` of a zone,
with its figures in bytes and ` + "`alarmSet`" + `.

## Actions of Amazon
`
