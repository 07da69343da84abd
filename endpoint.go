// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Endpoint is a host and a port as an admin names them.
type Endpoint struct {
	// Addr is the host's address, which may be an IPv6 one with a zone; it is the
	// zero value for a host that is named.
	Addr netip.Addr
	// Name is the DNS name of a host, as it was written; empty for an address.
	Name string
	Port uint16
}

// String returns "10.107.1.200:3260", "[2001:db8::1]:3260" or "san1:3260".
func (e Endpoint) String() string { return net.JoinHostPort(e.Host(), strconv.Itoa(int(e.Port))) }

// Host returns the address or the name, without brackets.
func (e Endpoint) Host() string {
	if e.Name != "" {
		return e.Name
	}
	return e.Addr.String()
}

// key is the same for two that are the same without asking DNS. Names have no case
// (RFC 4343), zones have.
func (e Endpoint) key() string {
	e.Name = strings.ToLower(e.Name)
	return e.String()
}

// ParseHosts parses the value of sanhost: hosts with commas between, each an
// address or a DNS name with an optional port; port is the one of an element that
// has none. An empty string is an empty list: no SAN has been named yet. An error
// is a *ListError.
func ParseHosts(s string, port uint16) ([]Endpoint, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var list []Endpoint
	err := eachElement(s, func(element string) (string, error) {
		e, err := parseEndpoint(element, port)
		if err == nil {
			err = e.checkLink("")
		}
		list = append(list, e)
		return e.key(), err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// ParseAddrs is ParseHosts for a list that may name no host, because a machine is
// to listen there or because a SAN advertises it.
func ParseAddrs(s string, port uint16) ([]netip.AddrPort, error) {
	hosts, err := ParseHosts(s, port)
	if err != nil {
		return nil, err
	}
	list := make([]netip.AddrPort, len(hosts))
	for i, h := range hosts {
		if h.Name != "" {
			return nil, fmt.Errorf("element %d, %q, must be an address and is a name", i+1, h.Name)
		}
		list[i] = netip.AddrPortFrom(h.Addr, h.Port)
	}
	return list, nil
}

// parseEndpoint parses HOST[:PORT].
func parseEndpoint(s string, port uint16) (Endpoint, error) {
	host, tail, hasPort, err := cutPort(s)
	if err != nil {
		return Endpoint{}, err
	}
	if hasPort {
		n, err := strconv.ParseUint(tail, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != tail {
			return Endpoint{}, fmt.Errorf("%s is no port: it must be a number from 1 to 65535", quote(tail))
		}
		port = uint16(n)
	}
	a, err := netip.ParseAddr(host)
	switch bracketed := strings.HasPrefix(s, "["); {
	case bracketed && err != nil:
		return Endpoint{}, fmt.Errorf("%s is no IPv6 address", quote(host))
	case bracketed && !a.Is6():
		return Endpoint{}, fmt.Errorf("only an IPv6 address stands in brackets")
	case err == nil:
		return Endpoint{Addr: a.Unmap(), Port: port}, checkAddr(a)
	}
	return Endpoint{Name: host, Port: port}, checkName(host)
}

// cutPort cuts :PORT off, and the brackets.
func cutPort(s string) (host, port string, hasPort bool, err error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
		return "", "", false, fmt.Errorf("an IPv6 address stands in brackets: %s", quote("["+s+"]"))
	}
	inside, bracketed := strings.CutPrefix(s, "[")
	if !bracketed {
		host, port, hasPort = strings.Cut(s, ":")
		return host, port, hasPort, nil
	}
	host, tail, closed := strings.Cut(inside, "]")
	if !closed {
		return "", "", false, fmt.Errorf("the bracket is not closed")
	}
	port, hasPort = strings.CutPrefix(tail, ":")
	if tail != "" && !hasPort {
		return "", "", false, fmt.Errorf("only a colon and a port may follow the bracket")
	}
	return host, port, hasPort, nil
}

var nameLabel = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// numeric is what inet_aton takes for a part of an address, 0x0a6b01c8 for one.
var numeric = regexp.MustCompile(`^([0-9]+|0[xX][0-9A-Fa-f]*)$`)

// checkName holds a name to RFC 1123 §2.1: letters, digits and dashes between
// dots, and no number at the end, as a mistyped address has.
func checkName(name string) error {
	if strings.EqualFold(name, NoPath) {
		return fmt.Errorf("%s is a value of its own, in lower case, and no host", NoPath)
	}
	absolute := strings.TrimSuffix(name, ".")
	labels := strings.Split(absolute, ".")
	for _, l := range labels {
		if !nameLabel.MatchString(l) {
			return fmt.Errorf("%s is neither an address nor a host name", quote(name))
		}
	}
	if numeric.MatchString(labels[len(labels)-1]) || len(absolute) > 253 {
		return fmt.Errorf("%s is neither an address nor a host name", quote(name))
	}
	return nil
}

var netDeviceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)

// ValidNetDevice reports whether name can name a network device here: letters,
// digits, '.', '_' and '-', at most 15 as in the kernel (IFNAMSIZ, net/core/dev.c
// dev_valid_name), which would take nearly every other character too.
func ValidNetDevice(name string) bool { return netDeviceForm.MatchString(name) }

func checkAddr(a netip.Addr) error {
	zone := a.Zone() // which may hold any character, a slash or a line feed too
	a = a.Unmap().WithZone("")
	switch {
	case !ofOneHost(a):
		return fmt.Errorf("%s is not the address of one host", a)
	case zone != "" && !a.IsLinkLocalUnicast(), zone != "" && a.Is4():
		return fmt.Errorf("%s: only a link-local IPv6 address has a zone", a)
	case zone != "" && !ValidNetDevice(zone):
		return fmt.Errorf("the zone %s is no name of a network device", quote(zone))
	}
	return nil
}

// ofOneHost reports whether somebody can answer at a.
func ofOneHost(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// checkLink sees that exactly one thing tells the link of a link-local address.
func (e Endpoint) checkLink(label string) error {
	switch {
	case !e.Addr.Is6() || !e.Addr.IsLinkLocalUnicast():
	case e.Addr.Zone() == "" && label == "":
		return fmt.Errorf("the link-local address %s needs a zone, [%s%%eth1], or a label", e.Addr, e.Addr)
	case e.Addr.Zone() != "" && label != "":
		return fmt.Errorf("the label %q and the zone %q both choose the device", label, e.Addr.Zone())
	}
	return nil
}
