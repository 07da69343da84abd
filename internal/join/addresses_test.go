// SPDX-License-Identifier: Apache-2.0

package join

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
)

// "localhost" is the default of clc.names.
func TestACloudControllerThatNamesItselfLocalhostIsNotJoinedFromElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		endpoint string
		list     []string
		refused  bool
	}{
		"by default, from elsewhere":      {"https://10.109.1.1:8773", []string{"localhost:8774"}, true},
		"by default, by name":             {"https://clc.example.net:8773", []string{"localhost:8774", "127.0.0.1:8774", "[::1]:8774"}, true},
		"by default, on the same machine": {"https://127.0.0.1:8773", []string{"localhost:8774"}, false},
		"named":                           {"https://10.109.1.1:8773", []string{"localhost:8774", "10.109.1.1:8774"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := reachable(c.endpoint, c.list)
			if (mallee.KindOf(err) == mallee.IncorrectState) != c.refused || err != nil && !strings.Contains(err.Error(), "localhost:8774") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAddressesReadBack(t *testing.T) {
	dir := t.TempDir()
	if _, err := Addresses(dir); mallee.KindOf(err) != mallee.Invalid {
		t.Errorf("without a joining: %v", err)
	}
	want := []string{"10.109.1.1:8774", "[2001:db8::1]:8774"}
	if err := writeAddresses(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, err := Addresses(dir); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v reads back as %v, %v", want, got, err)
	}
	for _, bad := range []string{"", "10.109.1.1", "a b:8774\"", "\x00:1"} {
		if err := os.WriteFile(filepath.Join(dir, addressFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Addresses(dir); err == nil {
			t.Errorf("%q reads as %v", bad, got)
		}
	}
}
