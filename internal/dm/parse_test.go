// SPDX-License-Identifier: Apache-2.0

package dm

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Statuses, and the tables of the same maps. Those of loop devices (major number 7)
// are from Linux 6.1, by TestLabMaps.
var statuses = map[string]struct {
	status, table string
	want          []Path
	queues        bool
}{
	"just made": {
		status: "2 0 0 0 1 1 A 0 2 2 7:0 A 0 0 1 7:1 A 0 0 1 ",
		table:  "1 queue_if_no_path 0 1 1 service-time 0 2 2 7:0 1 1 7:1 1 1 ",
		want:   []Path{{7, 0, true, 0}, {7, 1, true, 0}},
		queues: true,
	},
	"a path failed, one is back": {
		status: "2 1 0 0 1 1 E 0 2 2 7:0 F 1 0 1 7:1 A 1 0 1 ",
		table:  "1 queue_if_no_path 0 1 1 service-time 0 2 2 7:0 1 1 7:1 1 1 ",
		want:   []Path{{7, 0, false, 1}, {7, 1, true, 1}},
		queues: true,
	},
	"adopted by multipathd": {
		status: "2 0 0 0 1 1 A 0 2 2 8:16 F 2 0 1 65:112 A 0 4096 1 ",
		table:  "3 queue_if_no_path pg_init_retries 50 1 alua 1 1 service-time 0 2 2 8:16 1 1 65:112 1 1 ",
		want:   []Path{{8, 16, false, 2}, {65, 112, true, 0}},
		queues: true,
	},
	"a group for each path, and no queueing": {
		status: "2 1 3 0 2 2 E 0 1 0 8:16 A 0 D 0 1 0 259:70000 F 1 ",
		table:  "1 retain_attached_hw_handler 0 2 2 round-robin 0 1 1 8:16 1000 round-robin 0 1 1 259:70000 1000 ",
		want:   []Path{{8, 16, true, 0}, {259, 70000, false, 1}},
	},
	"a selector that has a word of its own": {
		status: "2 0 0 0 1 1 A 1 x 1 1 8:16 A 0 9 ",
		table:  "0 0 1 1 historical-service-time 0 1 1 8:16 1 ",
		want:   []Path{{8, 16, true, 0}},
	},
	"no paths": {
		status: "2 0 0 0 0 0 ",
		table:  "0 0 0 0 ",
	},
}

func TestParseStatus(t *testing.T) {
	for name, test := range statuses {
		t.Run(name, func(t *testing.T) {
			got, err := parseStatus(test.status)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("paths: %v (-want +got):\n%s", err, diff)
			}
			if queues, err := parseQueueing(test.table); err != nil || queues != test.queues {
				t.Errorf("queueing %v, %v; want %v", queues, err, test.queues)
			}
		})
	}
}

func TestStatusOfNoMultipath(t *testing.T) {
	for _, status := range []string{
		"", "2", "2 0 0", "x 0 0 0 1 1", "2 0 0 0 1 1 A 0 2 2 8:16 A 0 0 1 ", "2 0 0 0 1 1 A 0 1 0 sdb A 0",
		"2 0 0 0 1 1 A 0 1 0 8:16 X 0", "2 0 0 0 1 1 A 0 1 0 8:16 A -1", "-1 0 0 0", "4294967295 0 0 0 1 1",
		"2 0 0 0 1 1 A 0 1 4294967295 8:16 A 0", "2 0 0 0 1 1 A 0 2147483647 0 8:16 A 0",
	} {
		if paths, err := parseStatus(status); err == nil {
			t.Errorf("%q is read as %v", status, paths)
		}
	}
	for _, table := range []string{"", "x", "1", "2 queue_if_no_path", "-1"} {
		if queues, err := parseQueueing(table); err == nil {
			t.Errorf("%q is read as queueing %v", table, queues)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, seed := range statuses {
		f.Add(seed.status)
	}
	f.Fuzz(func(t *testing.T, status string) {
		if paths, err := parseStatus(status); len(paths) > len(status) || err != nil && paths != nil {
			t.Errorf("%d paths of %q, %v", len(paths), status, err)
		}
	})
}

func FuzzParseQueueing(f *testing.F) {
	for _, seed := range statuses {
		f.Add(seed.table)
	}
	f.Fuzz(func(t *testing.T, table string) {
		if queues, err := parseQueueing(table); queues && err != nil {
			t.Errorf("%q queues, %v", table, err)
		}
	})
}

func FuzzParseNames(f *testing.F) {
	for _, noUUIDs := range []bool{false, true} {
		k := &kernel{noUUIDs: noUUIDs}
		f.Add(k.list(&header{flags: flagUUID}))
		k.multipath("mpatha", uuid, "", "")
		k.multipath("nameless", "", "", "")
		f.Add(k.list(&header{flags: flagUUID}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if entries, _ := parseNames(data); len(entries) > len(data) {
			t.Errorf("%d entries in %d bytes", len(entries), len(data))
		}
	})
}

func FuzzParseTarget(f *testing.F) {
	f.Add(target{sectors: 2048, kind: "multipath", text: aStatus}.bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := parseTarget(data)
		if err != nil || len(read.kind) == 16 {
			return // without the zero byte that ends it, which is not written
		}
		again, err := parseTarget(read.bytes())
		if err != nil || again != read {
			t.Errorf("%+v becomes %+v, %v", read, again, err)
		}
	})
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"mpath-3x\x00rest": "mpath-3x",
		"\x00":             "",
		"full":             "full",
		"":                 "",
	} {
		if got := text(bytes.Clone([]byte(in))); got != want {
			t.Errorf("text(%q) is %q, want %q", in, got, want)
		}
	}
}
