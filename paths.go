// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"fmt"
	"net/netip"
	"strings"
)

// NoPath is the value of ncpaths and scpaths that means "every portal that the
// SAN advertises".
const NoPath = "nopath"

// ISCSIPort is the port of a portal that is written without one (IANA: iscsi-target, RFC 7143 §13).
const ISCSIPort = 3260

// Paths is the parsed value of ncpaths or scpaths.
type Paths struct {
	// Any is true for "nopath": every portal that the SAN advertises. List is then empty.
	Any  bool
	List []netip.AddrPort // in the admin's order
}

// ParsePaths parses the value of ncpaths or scpaths: "nopath", or addresses
// separated by commas, each with an optional port. Blanks around an element are
// dropped. The error names the element at fault and its place.
func ParsePaths(s string) (Paths, error) {
	if strings.TrimSpace(s) == NoPath {
		return Paths{Any: true}, nil
	}
	list, err := parseAddrs(s, ISCSIPort)
	if err != nil {
		return Paths{}, err
	}
	return Paths{List: list}, nil
}

// ParseHosts parses the value of sanhost: addresses separated by commas, each
// with an optional port; port is the one of an element that has none. An empty
// string is an empty list: no SAN has been named yet.
func ParseHosts(s string, port uint16) ([]netip.AddrPort, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	return parseAddrs(s, port)
}

func parseAddrs(s string, port uint16) ([]netip.AddrPort, error) {
	var list []netip.AddrPort
	seen := map[netip.AddrPort]bool{}
	for i, element := range strings.Split(s, ",") {
		element = strings.TrimSpace(element)
		if element == "" {
			return nil, fmt.Errorf("element %d of %q is empty: write addresses separated by single commas", i+1, s)
		}
		a, err := parseAddr(element, port)
		if err != nil {
			return nil, fmt.Errorf("element %d, %q, is no address: write 10.107.1.200, 10.107.1.200:3260 or [2001:db8::1]:3260", i+1, element)
		}
		if seen[a] {
			return nil, fmt.Errorf("element %d, %q, is there twice", i+1, element)
		}
		seen[a] = true
		list = append(list, a)
	}
	return list, nil
}

func parseAddr(s string, port uint16) (netip.AddrPort, error) {
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(bare)
	if err != nil {
		var ap netip.AddrPort
		if ap, err = netip.ParseAddrPort(s); err != nil {
			return netip.AddrPort{}, err
		}
		a, port = ap.Addr(), ap.Port()
	}
	// A zone names an interface of one machine, and may hold any character: it
	// has no meaning to the others and no place in a file's name.
	if port == 0 || a.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("no address: %q", s)
	}
	a = a.Unmap()
	// Nobody answers at these.
	if a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.AddrPort{}, fmt.Errorf("not the address of one host: %q", s)
	}
	return netip.AddrPortFrom(a, port), nil
}
