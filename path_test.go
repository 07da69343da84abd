// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"testing"

	"github.com/mallee-io/mallee"
)

func TestWhichPathsThereShouldBe(t *testing.T) {
	for name, test := range map[string]struct {
		path mallee.Path
		want bool
	}{
		"named, up":                          {mallee.Path{Text: "10.107.1.200", State: mallee.PathUp}, true},
		"named, another identity answers":    {mallee.Path{Text: "10.107.1.200", State: mallee.PathQuarantined}, true},
		"leaves":                             {mallee.Path{State: mallee.PathDraining}, false},
		"came uncalled":                      {mallee.Path{State: mallee.PathQuarantined}, false},
		"of an older node, which names none": {mallee.Path{State: mallee.PathUp}, true},
		"of an older node, and down":         {mallee.Path{State: mallee.PathDown}, true},
	} {
		if got := test.path.Expected(); got != test.want {
			t.Errorf("%s: expected %t, want %t", name, got, test.want)
		}
	}
}
