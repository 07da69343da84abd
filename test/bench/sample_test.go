// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"one", []float64{3}, 0.5, 3},
		{"the middle of three, unsorted", []float64{9, 1, 5}, 0.5, 5},
		{"the lower middle of four", []float64{4, 3, 2, 1}, 0.5, 2},
		{"p99 of a few is the greatest", []float64{1, 2, 3}, 0.99, 3},
		{"max", []float64{1, 7, 3}, 1, 7},
		{"min", []float64{2, 1}, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := quantile(test.values, test.q); got != test.want {
				t.Errorf("quantile %v of %v is %v, want %v", test.q, test.values, got, test.want)
			}
		})
	}
}

func TestRounded(t *testing.T) {
	for in, want := range map[float64]float64{
		0: 0, 0.123456: 0.123, 12.345: 12.3, 125.6: 126, 12345: 12300, 0.00098765: 0.000988,
	} {
		if got := rounded(in); got != want {
			t.Errorf("%v becomes %v, want %v", in, got, want)
		}
	}
}

func TestResults(t *testing.T) {
	s := samples{}
	for _, v := range []float64{0.2, 0.1, 0.3} {
		s.add("attach_warm", ours, v)
	}
	s.add("attach_warm", osBrick, 4)
	s.add("attach_warm", osBrick, 6)
	s.add("attach_warm", osBrick, 5)
	s.add("attach_warm", floor, 0.1)
	// Nobody has measured ours: there is nothing to compare with.
	s.add("detach", osBrick, 5)
	want := []result{
		{Name: "attach_warm", Unit: "s", N: 3, P50: 0.2, P99: 0.3, Max: 0.3, Versus: []versus{
			{Name: osBrick, N: 3, P50: 5, Max: 6, Ratio: 25},
			{Name: floor, N: 1, P50: 0.1, Max: 0.1, Ratio: 0.5},
		}},
		{Name: "floor_distance_warm", Unit: "ratio", N: 1, P50: 2, P99: 3, Max: 3},
	}
	if diff := cmp.Diff(want, s.results()); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

// A peer's few samples are spread over the many of ours.
func TestPeerTurn(t *testing.T) {
	for _, test := range []struct {
		n, peer int
		want    []int
	}{
		{20, 3, []int{0, 7, 14}},
		{3, 3, []int{0, 1, 2}},
		{2, 1, []int{0}},
		{4, 0, nil},
	} {
		s := stage{options: options{n: test.n, peer: test.peer}}
		var got []int
		for i := range test.n {
			if s.peerTurn(i) {
				got = append(got, i)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("turns of %d in %d (-want +got):\n%s", test.peer, test.n, diff)
		}
	}
}

func TestChoose(t *testing.T) {
	names := func(list []contest) (names []string) {
		for _, c := range list {
			names = append(names, c.name)
		}
		return names
	}
	all, err := choose("")
	if err != nil || len(all) != len(contests()) {
		t.Errorf("for none there are %q, %v", names(all), err)
	}
	some, err := choose("detach,attach_cold_4,attach_warm")
	if diff := cmp.Diff([]string{"attach_cold_4", "attach_warm"}, names(some)); diff != "" || err != nil {
		t.Errorf("contests (-want +got):\n%s%v", diff, err)
	}
	if _, err := choose("attach_warm,no_such_row"); err == nil {
		t.Error("a row that is not there is no error")
	}
	// Each row belongs to a contest, or nobody would ever measure it.
	for _, row := range rows {
		if _, err := choose(row.name); err != nil {
			t.Error(err)
		}
	}
}
