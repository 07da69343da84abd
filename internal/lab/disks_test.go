// SPDX-License-Identifier: Apache-2.0

package lab

import "testing"

func TestAvailable(t *testing.T) {
	const text = "MemTotal:       24683660 kB\nMemFree:          100000 kB\nMemAvailable:   20000000 kB\n"
	if got, err := available(text); got != 20000000<<10 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := available("MemTotal: 1 kB\n"); err == nil {
		t.Error("a host that does not tell what is available was taken to have some")
	}
}
