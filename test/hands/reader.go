// SPDX-License-Identifier: Apache-2.0

package hands

import "time"

// The operations of the role reader, with their arguments and results.
const (
	OpText   = "text"   // string, a device → string, the text at its beginning
	OpFollow = "follow" // Follow → Followed
)

// Follow are the arguments of OpFollow: read from a device all over, one block after
// the other, past the page cache.
type Follow struct {
	Device string
	For    time.Duration // no read begins after that
	Pause  time.Duration // between two reads
}

// Followed is the result of OpFollow.
type Followed struct {
	Spans         []Span
	Reads         int
	P50, P99, Max time.Duration // of the reads, failed ones too
}

// Span is a row of reads that have found the same.
type Span struct {
	Text        string    // that stood in the block
	Err         string    // why there was none
	From, Until time.Time // when the first had begun and the last has ended
	Reads       int
}

// Total returns how many reads have found text, and the time from the first of them
// to the last.
func (f Followed) Total(text string) (reads int, during time.Duration) {
	var from, until time.Time
	for _, s := range f.Spans {
		if s.Text != text || s.Err != "" {
			continue
		}
		if reads == 0 {
			from = s.From
		}
		reads, until = reads+s.Reads, s.Until
	}
	return reads, until.Sub(from)
}
