// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
)

func TestNewIDsAreValidAndDiffer(t *testing.T) {
	const n = 1000
	seen := map[string]bool{}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for range n {
		volume, instance, request := mallee.NewVolumeID(), mallee.NewInstanceID(), mallee.NewRequestID()
		if !volume.Valid() || len(volume) != len("vol-")+17 {
			t.Fatalf("new volume id %q is not of the long form", volume)
		}
		if !instance.Valid() || len(instance) != len("i-")+17 {
			t.Fatalf("new instance id %q is not of the long form", instance)
		}
		if !uuid.MatchString(string(request)) {
			t.Fatalf("new request id %q is no random UUID", request)
		}
		seen[string(volume)], seen[string(instance)], seen[string(request)] = true, true, true
	}
	if len(seen) != 3*n {
		t.Errorf("%d ids differ of %d", len(seen), 3*n)
	}
}

func TestForms(t *testing.T) {
	volume := func(s string) bool { return mallee.VolumeID(s).Valid() }
	instance := func(s string) bool { return mallee.InstanceID(s).Valid() }
	wwid := func(s string) bool { return mallee.WWID(s).Valid() }
	iqn := func(s string) bool { return mallee.IQN(s).Valid() }
	for _, test := range []struct {
		name  string
		valid func(string) bool
		value string
		want  bool
	}{
		{"short volume id", volume, "vol-1a2b3c4d", true},
		{"long volume id", volume, "vol-0123456789abcdef0", true},
		{"nine digits", volume, "vol-1a2b3c4d5", false},
		{"upper case", volume, "vol-1A2B3C4D", false},
		{"the original's case", volume, "VOL-1a2b3c4d", false},
		{"another thing's id", volume, "i-1a2b3c4d", false},
		{"line feed after it", volume, "vol-1a2b3c4d\n", false},
		{"path", volume, "vol-../../etc", false},
		{"no volume id", volume, "", false},

		{"short instance id", instance, "i-1a2b3c4d", true},
		{"long instance id", instance, "i-0123456789abcdef0", true},
		{"volume's id", instance, "vol-1a2b3c4d", false},

		{"LIO's identity", wwid, "360014056d6c6c650123456789abcdef0", true},
		{"without the 3", wwid, "60014056d6c6c650123456789abcdef0", false},
		{"NAA 5, of eight bytes", wwid, "35000c500a1b2c3d4", false},
		{"upper case identity", wwid, "360014056D6C6C650123456789ABCDEF0", false},
		{"a digit more", wwid, "360014056d6c6c650123456789abcdef01", false},

		{"authority alone", iqn, "iqn.2026-11.io.mallee", true},
		{"with a name", iqn, "iqn.2026-11.io.mallee:san", true},
		{"colons in the name", iqn, "iqn.1993-08.org.debian:01:abc-1.2", true},
		{"as long as may be", iqn, "iqn.2026-11.io.mallee:" + strings.Repeat("a", 223-22), true},
		{"longer", iqn, "iqn.2026-11.io.mallee:" + strings.Repeat("a", 224-22), false},
		{"month 13", iqn, "iqn.2026-13.io.mallee", false},
		{"month 0", iqn, "iqn.2026-00.io.mallee", false},
		{"upper case name", iqn, "iqn.2026-11.io.mallee:SAN", false},
		{"slash", iqn, "iqn.2026-11.io.mallee:a/b", false},
		{"blank", iqn, "iqn.2026-11.io.mallee:a b", false},
		{"option", iqn, "iqn.2026-11.io.mallee:--login", false},
		{"empty name", iqn, "iqn.2026-11.io.mallee:", false},
		{"eui", iqn, "eui.02004567a425678d", false},

		{"the original's partition", mallee.ValidPartition, "PARTI00", true},
		{"dash and underscore", mallee.ValidPartition, "az-1_b", true},
		{"63 letters", mallee.ValidPartition, strings.Repeat("a", 63), true},
		{"64 letters", mallee.ValidPartition, strings.Repeat("a", 64), false},
		{"dot", mallee.ValidPartition, "az.1", false},
		{"digit first", mallee.ValidPartition, "1az", false},
		{"no partition", mallee.ValidPartition, "", false},

		{"with /dev", mallee.ValidDevice, "/dev/sdf", true},
		{"without", mallee.ValidDevice, "vdb", true},
		{"too short", mallee.ValidDevice, "sd", false},
		{"too long", mallee.ValidDevice, "/dev/sdabcd", false},
		{"dots", mallee.ValidDevice, "/dev/../a", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.valid(test.value); got != test.want {
				t.Errorf("valid(%q) is %t, want %t", test.value, got, test.want)
			}
		})
	}
}
