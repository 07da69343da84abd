// SPDX-License-Identifier: Apache-2.0

package dm

import (
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
