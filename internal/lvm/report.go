// SPDX-License-Identifier: Apache-2.0

package lvm

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mallee-io/mallee/internal/command"
)

// reportFields are the columns asked of lvs; logicalVolume holds one row of them.
const reportFields = "lv_name,lv_size,lv_active,pool_lv,lv_tags,data_percent,metadata_percent,lv_when_full,zero,segtype"

// logicalVolume is a row of lvs. lvm writes every value as a string.
type logicalVolume struct {
	Name     string `json:"lv_name"`
	Size     uint64 `json:"lv_size,string"`
	Active   string `json:"lv_active"`
	Pool     string `json:"pool_lv"`
	Tags     string `json:"lv_tags"`
	Data     string `json:"data_percent"`
	Metadata string `json:"metadata_percent"`
	WhenFull string `json:"lv_when_full"`
	Zero     string `json:"zero"`
	Segment  string `json:"segtype"`
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
// and our volumes in it.
func parseReport(out []byte, pool string) (report, error) {
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
				free, err := lv.free()
				if err != nil {
					return report{}, err
				}
				if r.contents.MetadataUsed, err = share(lv.Metadata); err != nil {
					return report{}, err
				}
				r.contents.SizeBytes, r.contents.FreeBytes = lv.Size, free
				r.active = lv.Active == "active"
				r.zero = lv.Zero == "zero"
				r.errorWhenFull = lv.WhenFull == "error"
			case lv.Pool == pool && slices.Contains(strings.Split(lv.Tags, ","), tag):
				r.contents.Volumes = append(r.contents.Volumes, Volume{
					Name: lv.Name, SizeBytes: lv.Size, Active: lv.Active == "active",
				})
			}
		}
	}
	if !found {
		return report{}, errNoPool
	}
	return r, nil
}

// free computes what is free of a pool. An inactive pool tells no percentage;
// it counts as full, so that nothing is promised that may not be there.
func (lv logicalVolume) free() (uint64, error) {
	if lv.Data == "" {
		return 0, nil
	}
	used, err := share(lv.Data)
	return lv.Size - min(lv.Size, uint64(float64(lv.Size)*used)), err
}

// share parses a percentage, "15.53" for example, into a share of 1. What lvm
// does not know, of an inactive pool, it leaves empty; that is 0.
func share(percentage string) (float64, error) {
	if percentage == "" {
		return 0, nil
	}
	percent, err := strconv.ParseFloat(percentage, 64)
	if err != nil || !(percent >= 0 && percent <= 100) {
		return 0, fmt.Errorf("the output of lvs: %q is no percentage", percentage)
	}
	return percent / 100, nil
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
