// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"errors"
	"strings"
	"testing"
	"unsafe"
)

// The ioctl's number holds the size of its argument: a header of another size
// would be refused by every kernel, and is better found here.
func TestHeaderHasTheKernelsSize(t *testing.T) {
	if size := unsafe.Sizeof(ioctlHeader{}); size != devStatus>>16&0x3fff {
		t.Errorf("struct dm_ioctl is %d bytes here, want %d", size, devStatus>>16&0x3fff)
	}
}

// The kernel takes a UUID of up to 128 bytes, and an empty one for a question
// about a name or a number.
func TestByUUIDRefusesWhatIsNoUUID(t *testing.T) {
	for _, uuid := range []string{"", strings.Repeat("a", 129), strings.Repeat("a", 4096)} {
		_, err := ByUUID(uuid)
		if err == nil || !strings.Contains(err.Error(), "no device-mapper UUID") || errors.Is(err, ErrNotFound) {
			t.Errorf("UUID of %d bytes: error %v", len(uuid), err)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"mpath-3x\x00rest": "mpath-3x",
		"\x00":             "",
		"full":             "full",
		"":                 "",
	} {
		if got := text([]byte(in)); got != want {
			t.Errorf("text(%q) is %q, want %q", in, got, want)
		}
	}
}
