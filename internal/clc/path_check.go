// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/pathcheck"
)

const (
	// maxChecks bounds the path checks that are under way: each asks every node of
	// a partition.
	maxChecks = 8
	// answerTime is how long a machine may take to answer: it has names to look up
	// and neighbours to ask.
	answerTime = 6 * time.Second
	// probeTime bounds a check that probes, in which one machine is asked after the
	// other. It is shorter than a call of the API may take (package query).
	probeTime = 20 * time.Second
)

// check is a path check.
type check struct {
	partition string
	key       string  // ncPaths or scPaths
	present   string  // what the property is
	value     *string // that is asked about; nil for the list that each machine works with
	// minToday is how many paths a machine needs, and min how many it would.
	minToday, min int
	probe         bool
}

// CheckPaths tells what a list of paths would mean for the machines that it is
// for. Name is a partition's property ncpaths or scpaths, and value the list, nil
// for what is. It changes nothing. Probe has each machine in turn open a TCP
// connection to portals of which there is no other evidence, and reset it. An
// error of kind Unavailable says that too many look already.
func (c *Controller) CheckPaths(ctx context.Context, name string, value *string, probe bool) (mallee.PathCheck, error) {
	const op = "check paths of"
	partition, key, _ := strings.Cut(name, ".")
	if key != ncPaths && key != scPaths {
		return mallee.PathCheck{}, refuse(op, mallee.Invalid, name, "only %s and %s of a partition are lists of paths", ncPaths, scPaths)
	}
	v, err := readView(ctx, c.store)
	if err != nil {
		return mallee.PathCheck{}, err
	}
	if _, known := v.partitions[partition]; !known {
		return mallee.PathCheck{}, refuse(op, mallee.NotFound, name, "no such property")
	}
	settings := v.settings(partition)
	needs := minPathsOf(settings)
	return c.check(ctx, v, check{
		partition: partition, key: key, present: settings[key], value: value, minToday: needs, min: needs, probe: probe,
	})
}

// minPathsOf returns how many paths a device must have.
func minPathsOf(settings map[string]string) int { return number(settings[mallee.PropertyMinPaths]) }

func (c *Controller) check(ctx context.Context, v *view, k check) (mallee.PathCheck, error) {
	const op = "check paths of"
	result := mallee.PathCheck{Name: k.partition + "." + k.key, Value: k.present, MinPaths: k.min}
	if k.value != nil {
		result.Value = *k.value
	}
	paths, err := mallee.ParsePaths(result.Value)
	if err != nil {
		return mallee.PathCheck{}, &mallee.Error{Op: op, Kind: mallee.Invalid, ID: result.Name, Err: err}
	}
	leave, err := c.enterCheck(k.probe)
	if err != nil {
		return mallee.PathCheck{}, &mallee.Error{Op: op, Kind: mallee.Unavailable, ID: result.Name, Hint: "try again in some seconds", Err: err}
	}
	defer leave()
	looks := c.sites.look(ctx, v, k)
	for _, l := range looks {
		result.Sites = append(result.Sites, l.Site)
	}
	q := pathcheck.Question{
		Paths: paths, MinToday: k.minToday, Min: k.min, Rule: mallee.PropertyMinPaths + " asks for", Advertised: c.sites.advertised(k.partition),
	}
	if k.key == ncPaths {
		result.Refused, result.Warnings = pathcheck.Judge(q, looks)
		result.Warnings = append(result.Warnings, c.sites.changing(k.partition)...)
		return result, nil
	}
	// A snapshot that cannot be read now can be read later: nothing is refused.
	q.MinToday, q.Min, q.Rule, result.MinPaths = 1, 1, "a storage controller needs", 1
	few, others := pathcheck.Judge(q, looks)
	result.Warnings = append(few, others...)
	return result, nil
}

// enterCheck takes a place among the path checks that are under way, until leave
// is called.
func (c *Controller) enterCheck(probe bool) (leave func(), err error) {
	select {
	case c.checking <- struct{}{}:
	default:
		return nil, fmt.Errorf("%d path checks are under way", maxChecks)
	}
	if !probe {
		return func() { <-c.checking }, nil
	}
	select {
	case c.probing <- struct{}{}:
		return func() { <-c.probing; <-c.checking }, nil
	default:
		<-c.checking
		return nil, fmt.Errorf("a path check that probes is under way: a portal is probed by one machine at a time")
	}
}
