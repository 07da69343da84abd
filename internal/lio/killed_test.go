// SPDX-License-Identifier: Apache-2.0

package lio_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/mallee-io/mallee/internal/lio"
	"github.com/mallee-io/mallee/internal/lio/liotest"
)

var (
	disk2 = lio.Backstore{
		Name: "vol-22222222", Device: "/dev/mallee/vol-22222222",
		Serial: "6d6c6c65fffffffff222222220000000", Vendor: "MALLEE", Product: "volume",
	}
	first  = lio.Mapping{Initiator: nc1, LUN: 1, Backstore: disk.Name}
	second = lio.Mapping{Initiator: nc1, LUN: 2, Backstore: disk2.Name}
)

// hold makes the kernel keep commands in flight until they are told to end.
func hold(fs *liotest.ConfigFS) (end func()) {
	ended := make(chan struct{})
	fs.Drain = func(string) { <-ended }
	return func() {
		fs.Drain = nil
		close(ended)
	}
}

func lunDirs(t *testing.T, fs *liotest.ConfigFS, dir string) []string {
	t.Helper()
	names, err := fs.List(tpg + dir)
	must(t, err)
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, "lun_") })
}

func TestADrainingLUNHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, fs := prepared(t)
		must(t, target.AddBackstore(disk))
		must(t, target.AddBackstore(disk2))
		must(t, target.Map(first))
		end := hold(fs)
		done := make(chan error, 1)
		go func() { done <- target.Unmap(nc1, disk.Name) }()
		synctest.Wait()
		fs.Drain = nil

		must(t, target.Map(second))
		must(t, target.Map(lio.Mapping{Initiator: nc2, LUN: 1, Backstore: disk2.Name}))
		must(t, target.Unmap(nc1, disk2.Name))
		end()
		must(t, <-done)
	})
}

func TestAStartWhileALUNDrainsHoldsUpOnlyThatOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		killed, fs := prepared(t)
		must(t, killed.AddBackstore(disk))
		must(t, killed.AddBackstore(disk2))
		must(t, killed.Map(first))
		must(t, killed.Map(second))
		must(t, killed.Map(lio.Mapping{Initiator: nc2, LUN: 7, Backstore: disk2.Name}))
		end := hold(fs)
		// Its thread stays in the kernel.
		go func() { _ = killed.Unmap(nc1, disk.Name) }()
		synctest.Wait()
		fs.Drain = nil

		target := started(t, fs)
		must(t, target.Unmap(nc2, disk2.Name))
		must(t, target.Unmap(nc1, disk2.Name)) // Of the same initiator.
		must(t, target.Map(second))
		if target.Map(first) == nil {
			t.Error("a LUN was given while commands for it are in flight")
		}
		target = started(t, fs) // Also a second kill does not make it forget.
		done := make(chan error, 1)
		go func() { done <- target.Unmap(nc1, disk.Name) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Unmap returned %v with commands in flight", err)
		default:
		}
		end()
		must(t, <-done)
		synctest.Wait()
		must(t, target.RemoveBackstore(disk.Name))
		must(t, target.Map(second))
		if got := lunDirs(t, fs, "lun"); len(got) != 1 {
			t.Errorf("LUNs of the TPG %v, want the one in use", got)
		}
		if got := lunDirs(t, fs, "acls/"+string(nc1)); !slices.Equal(got, []string{"lun_2"}) {
			t.Errorf("mapped LUNs %v, want the one in use", got)
		}
	})
}

func TestWhatAKilledProcessLeftIsFinishedOrRemoved(t *testing.T) {
	mapped := tpg + "acls/" + string(nc1) + "/lun_1"
	lun := tpg + "lun/lun_1"
	for name, leave := range map[string][]func(*liotest.ConfigFS) error{
		"mapped LUN without link": {
			func(fs *liotest.ConfigFS) error { return fs.Unlink(mapped + "/" + disk.Name) },
		},
		"LUN of the TPG without link": {
			func(fs *liotest.ConfigFS) error { return fs.Unlink(mapped + "/" + disk.Name) },
			func(fs *liotest.ConfigFS) error { return fs.Unlink(lun + "/" + string(nc1)) },
		},
		"LUN of the TPG without mapped LUN": {
			func(fs *liotest.ConfigFS) error { return fs.Unlink(mapped + "/" + disk.Name) },
			func(fs *liotest.ConfigFS) error { return fs.Rmdir(mapped) },
		},
		"mapped LUN without LUN of the TPG": {
			func(fs *liotest.ConfigFS) error { return fs.Unlink(mapped + "/" + disk.Name) },
			func(fs *liotest.ConfigFS) error { return fs.Unlink(lun + "/" + string(nc1)) },
			func(fs *liotest.ConfigFS) error { return fs.Rmdir(lun) },
		},
	} {
		for _, again := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", taken back", true: ", mapped again"}[again], func(t *testing.T) {
				killed, fs := prepared(t)
				must(t, killed.AddBackstore(disk))
				must(t, killed.Map(first))
				for _, step := range leave {
					must(t, step(fs))
				}
				target := started(t, fs)
				if again {
					must(t, target.Map(first))
				}
				must(t, target.Unmap(nc1, disk.Name))
				must(t, target.RemoveBackstore(disk.Name))
				_ = started(t, fs)
				if got := slices.Concat(lunDirs(t, fs, "lun"), lunDirs(t, fs, "acls/"+string(nc1))); len(got) != 0 {
					t.Errorf("%v is left", got)
				}
			})
		}
	}
}

func TestAFailedMapLeavesNothing(t *testing.T) {
	for _, refused := range []string{"/lun/", "/acls/"} {
		t.Run(refused, func(t *testing.T) {
			target, fs := prepared(t)
			must(t, target.AddBackstore(disk))
			fs.Refuse = func(link string) error {
				if strings.Contains(link, refused) {
					return syscall.ENOMEM
				}
				return nil
			}
			for range 3 {
				if target.Map(first) == nil {
					t.Fatal("no error")
				}
			}
			if got := lunDirs(t, fs, "acls/"+string(nc1)); len(got) != 0 {
				t.Errorf("mapped LUNs %v are left", got)
			}
			if got := lunDirs(t, fs, "lun"); len(got) > 1 {
				t.Errorf("each try left a LUN of the TPG: %v", got)
			}
			fs.Refuse = nil
			must(t, target.Map(first))
			if got, want := shown(t, fs), []string{string(nc1) + " lun_1 " + disk.Name}; !slices.Equal(got, want) {
				t.Errorf("the kernel shows %v, want %v", got, want)
			}
		})
	}
}
