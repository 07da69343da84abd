// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"
	"testing"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"schema":1,"value":{"Height":3}}`))
	f.Add([]byte(`{"schema":2,"value":{}}`))
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte(``))
	table := NewTable[struct{ Height int }]("stems", 1)
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := table.decode("/mallee/v1/stems/a", text)
		if err != nil {
			if !strings.Contains(err.Error(), "/mallee/v1/stems/a") {
				t.Errorf("the error does not name the record: %v", err)
			}
			return
		}
		encoded, err := table.encode("/mallee/v1/stems/a", "tx", v)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := table.decode("/mallee/v1/stems/a", []byte(encoded)); err != nil || again != v {
			t.Errorf("%+v became %+v, %v", v, again, err)
		}
	})
}
