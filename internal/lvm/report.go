// SPDX-License-Identifier: Apache-2.0

package lvm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mallee-io/mallee/internal/command"
)

// reportFields are the columns asked of lvs; logicalVolume holds one row of them.
const reportFields = "lv_name,lv_size,lv_active,pool_lv,lv_tags,data_percent,metadata_percent,lv_metadata_size,lv_when_full,lv_health_status,zero,segtype,lv_kernel_major,lv_kernel_minor,lv_inactive_table"

// logicalVolume is a row of lvs. lvm writes every value as a string.
type logicalVolume struct {
	Name         string `json:"lv_name"`
	Size         uint64 `json:"lv_size,string"`
	Active       string `json:"lv_active"`
	Pool         string `json:"pool_lv"`
	Tags         string `json:"lv_tags"`
	Data         string `json:"data_percent"`
	Metadata     string `json:"metadata_percent"`
	MetadataSize string `json:"lv_metadata_size"` // empty but for a pool
	WhenFull     string `json:"lv_when_full"`
	Health       string `json:"lv_health_status"`
	Zero         string `json:"zero"`
	Segment      string `json:"segtype"`
	Major        string `json:"lv_kernel_major"` // "-1" without a device
	Minor        string `json:"lv_kernel_minor"`
	// Inactive is not empty while the device has a table that is not in use yet.
	Inactive string `json:"lv_inactive_table"`
}

// report is what one run of lvs tells of a pool.
type report struct {
	contents                    Contents
	active, zero, errorWhenFull bool
}

// errNoPool says that the volume group is there and the pool is not. It is not
// ErrNotFound: a volume of a pool that is missing is not known to be gone.
var errNoPool = errors.New("the pool is not there")

// parseReport parses the output of lvs --reportformat json and picks the pool
// and our volumes in it. size returns the bytes of a device, 0 if that cannot be told.
func parseReport(out []byte, pool string, size func(major, minor string) uint64) (report, error) {
	var document struct {
		Report []struct {
			LV []logicalVolume `json:"lv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(out, &document); err != nil {
		return report{}, fmt.Errorf("the output of lvs: %w", err)
	}
	var r report
	found := false
	for _, part := range document.Report {
		for _, lv := range part.LV {
			switch {
			case lv.Name == pool && lv.Segment != "thin-pool":
				return report{}, fmt.Errorf("%s is a %s volume, not a thin pool", pool, lv.Segment)
			case lv.Name == pool:
				found = true
				if err := lv.fillIn(&r.contents); err != nil {
					return report{}, err
				}
				r.active = lv.Active == "active"
				r.zero = lv.Zero == "zero"
				r.errorWhenFull = lv.WhenFull == "error"
			case lv.Pool == pool && lv.ours():
				v := Volume{ID: lv.id(), Name: lv.Name, SizeBytes: lv.Size, Active: lv.Active == "active"}
				if v.Active {
					has := size(lv.Major, lv.Minor)
					v.Torn = lv.Inactive != "" || has != 0 && has != lv.Size
				}
				r.contents.Volumes = append(r.contents.Volumes, v)
			}
		}
	}
	if !found {
		return report{}, errNoPool
	}
	return r, nil
}

func (lv logicalVolume) ours() bool { return slices.Contains(strings.Split(lv.Tags, ","), tag) }

// id returns what the tag tells, or the name of a volume that has none.
func (lv logicalVolume) id() string {
	for t := range strings.SplitSeq(lv.Tags, ",") {
		if id, ok := strings.CutPrefix(t, idTag); ok {
			return id
		}
	}
	return lv.Name
}

// fillIn takes over how full a pool is.
func (lv logicalVolume) fillIn(c *Contents) (err error) {
	c.SizeBytes, c.Health = lv.Size, lv.Health
	if lv.MetadataSize != "" {
		if c.MetadataSizeBytes, err = strconv.ParseUint(lv.MetadataSize, 10, 64); err != nil {
			return fmt.Errorf("the output of lvs: %q is no size", lv.MetadataSize)
		}
	}
	if c.FreeBytes, err = free(c.SizeBytes, lv.Data); err != nil {
		return err
	}
	c.MetadataFreeBytes, err = free(c.MetadataSizeBytes, lv.Metadata)
	return err
}

// free computes what is free of size, of which a percentage is used, "15.53" for
// example. An inactive pool tells none; it counts as full, so that nothing is
// promised that may not be there.
func free(size uint64, percentage string) (uint64, error) {
	if percentage == "" {
		return 0, nil
	}
	percent, err := strconv.ParseFloat(percentage, 64)
	if err != nil || !(percent >= 0 && percent <= 100) {
		return 0, fmt.Errorf("the output of lvs: %q is no percentage", percentage)
	}
	return size - min(size, uint64(float64(size)*(percent/100))), nil
}

// deviceSize returns the bytes of the block device with these numbers, without
// opening it; 0 if it cannot be told.
func deviceSize(major, minor string) uint64 {
	text, err := os.ReadFile("/sys/dev/block/" + major + ":" + minor + "/size")
	if err != nil {
		return 0
	}
	sectors, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return sectors * 512
}

// verdicts maps lvm's words to what is wrong. lvm exits with 5 for all of them;
// only what it writes under LC_ALL=C tells them apart (seen with lvm2 2.03.16).
var verdicts = []struct {
	words *regexp.Regexp
	is    error
}{
	{regexp.MustCompile(`Failed to find logical volume|Volume group "[^"]*" not found`), ErrNotFound},
	{regexp.MustCompile(`already exists in [Vv]olume group`), ErrExists},
	{regexp.MustCompile(`insufficient free space`), ErrNoRoom},
	{regexp.MustCompile(` in use\.`), ErrInUse},
}

// classify adds to the failure of an lvm tool which of this package's errors it is.
func classify(err error) error {
	failure, ok := errors.AsType[*command.Error](err)
	if !ok {
		return err
	}
	for _, v := range verdicts {
		if v.words.MatchString(failure.Stderr) {
			return fmt.Errorf("%w: %w", v.is, err)
		}
	}
	return err
}
