// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Who takes samples.
const (
	ours    = "mallee"
	osBrick = "os-brick"
	floor   = "floor"
	healthy = "healthy" // ours, in the same run, without the fault of the row
)

// samples are those of all rows, by row and who.
type samples map[string]map[string][]float64

func (s samples) add(row, who string, value float64) {
	if s[row] == nil {
		s[row] = map[string][]float64{}
	}
	s[row][who] = append(s[row][who], value)
}

// addTime adds a time, in seconds.
func (s samples) addTime(row, who string, took time.Duration) { s.add(row, who, took.Seconds()) }

// result is a row with its samples counted; a line of bench.json.
type result struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
	N      int      `json:"n"`
	P50    float64  `json:"p50"`
	P99    float64  `json:"p99"`
	Max    float64  `json:"max"`
	Versus []versus `json:"versus,omitempty"`
}

// versus is what ours is compared with.
type versus struct {
	Name  string  `json:"name"`
	N     int     `json:"n"`
	P50   float64 `json:"p50"`
	Max   float64 `json:"max"`
	Ratio float64 `json:"ratio"` // its P50 by ours
}

// String tells a result on one line: "attach_warm 0.1 s (max 0.2, n 20), os-brick 5, floor 0.08".
func (r result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s (max %s, n %d)", r.Name, number(r.P50), r.Unit, number(r.Max), r.N)
	for _, v := range r.Versus {
		fmt.Fprintf(&b, ", %s %s", v.Name, number(v.P50))
	}
	return b.String()
}

// results counts the samples of each row that has some of ours, in the rows' order.
func (s samples) results() []result {
	var list []result
	for _, row := range rows {
		mine := s[row.name][ours]
		if row.over != "" {
			// A distance is that of two rows' quantiles.
			a, b := s[row.over][ours], s[row.over][floor]
			if len(a) == 0 || len(b) == 0 {
				continue
			}
			by := func(q float64) float64 { return rounded(quantile(a, q) / quantile(b, q)) }
			list = append(list, result{Name: row.name, Unit: row.unit, N: min(len(a), len(b)), P50: by(0.5), P99: by(0.99), Max: by(1)})
			continue
		}
		if len(mine) == 0 {
			continue
		}
		r := result{
			Name: row.name, Unit: row.unit, N: len(mine),
			P50: rounded(quantile(mine, 0.5)), P99: rounded(quantile(mine, 0.99)), Max: rounded(quantile(mine, 1)),
		}
		for _, who := range []string{osBrick, floor, healthy} {
			if theirs := s[row.name][who]; len(theirs) > 0 {
				v := versus{Name: who, N: len(theirs), P50: rounded(quantile(theirs, 0.5)), Max: rounded(quantile(theirs, 1))}
				v.Ratio = rounded(quantile(theirs, 0.5) / quantile(mine, 0.5))
				r.Versus = append(r.Versus, v)
			}
		}
		list = append(list, r)
	}
	return list
}

// quantile returns the smallest of the values that at least q of them do not exceed.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(i, 0)]
}

// rounded keeps three digits, or thousandths of what is less: there is no truth in
// the others. JSON has no word for what is no number.
func rounded(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	if v == 0 {
		return 0
	}
	digits := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*digits) / digits
}
