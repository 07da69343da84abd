// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const modulesDep = `kernel/fs/overlayfs/overlay.ko:
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/fscache/fscache.ko kernel/fs/netfs/netfs.ko
kernel/fs/fscache/fscache.ko: kernel/fs/netfs/netfs.ko
kernel/fs/netfs/netfs.ko:
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
`

func TestLoadOrder(t *testing.T) {
	got, err := loadOrder(modulesDep, []string{"9pnet_virtio", "9p", "overlay"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"kernel/drivers/virtio/virtio.ko", "kernel/net/9p/9pnet.ko", "kernel/net/9p/9pnet_virtio.ko",
		"kernel/fs/netfs/netfs.ko", "kernel/fs/fscache/fscache.ko", "kernel/fs/9p/9p.ko",
		"kernel/fs/overlayfs/overlay.ko",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if _, err := loadOrder(modulesDep, []string{"zfs"}); err == nil || !strings.Contains(err.Error(), "zfs") {
		t.Errorf("error is %v, want one that names zfs", err)
	}
}

func FuzzLoadOrder(f *testing.F) {
	f.Add(modulesDep, "9p")
	f.Add("a.ko: b.ko\nb.ko: a.ko\n", "a") // a ring
	f.Add("a.ko: a.ko", "a")
	f.Add(":", "")
	f.Fuzz(func(t *testing.T, dep, module string) {
		order, err := loadOrder(dep, []string{module})
		if err != nil {
			return
		}
		if len(order) == 0 {
			t.Errorf("nothing is loaded for %q", module)
		}
		for i, file := range order {
			if slices.Contains(order[:i], file) {
				t.Errorf("%q is loaded twice", file)
			}
		}
	})
}
