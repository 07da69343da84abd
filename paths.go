// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"errors"
	"strings"
)

// NoPath is the value of ncpaths and scpaths that means "every portal that the
// SAN advertises".
const NoPath = "nopath"

// ISCSIPort is the port of a portal that is written without one (IANA: iscsi-target, RFC 7143 §13).
const ISCSIPort = 3260

// MaxPaths is how many elements a list of paths or hosts may have.
const MaxPaths = 32

// Paths is the parsed value of ncpaths or scpaths.
type Paths struct {
	// Any is true for "nopath": every portal that the SAN advertises. List is then empty.
	Any  bool
	List []PathSpec // in the admin's order
}

// PathSpec is one element of ncpaths or scpaths: [LABEL:]HOST[:PORT].
type PathSpec struct {
	// Label chooses the network device that the path goes through, on each machine
	// by its own STORAGE_INTERFACES; empty leaves the choice to routing. It applies
	// to this element only.
	Label string
	Endpoint
	// Text is the element as the admin wrote it, without the blanks around it.
	Text string
}

// String returns the value as the admin wrote it, without blanks and without a
// trailing comma. ParsePaths of it gives p again.
func (p Paths) String() string {
	if p.Any {
		return NoPath
	}
	texts := make([]string, len(p.List))
	for i, s := range p.List {
		texts[i] = s.Text
	}
	return strings.Join(texts, ",")
}

// ParsePaths parses the value of ncpaths or scpaths: "nopath", or a list of
// [LABEL:]HOST[:PORT] with commas between, where HOST is an IPv4 address, an IPv6
// address in brackets, or a DNS name. What parses as an address before the first
// colon is a host; with a name and a single colon, digits after it are a port,
// and else what stands before it is a label. Blanks around an element are
// dropped, a comma after the last is forgiven. An error is a *ListError, unless
// there is no element at all.
func ParsePaths(s string) (Paths, error) {
	if strings.TrimSpace(s) == NoPath {
		return Paths{Any: true}, nil
	}
	if strings.TrimSpace(s) == "" {
		return Paths{}, errors.New("the list is empty: write " + NoPath + " or at least one host")
	}
	var p Paths
	err := eachElement(s, func(element string) (string, error) {
		spec, err := parsePathSpec(element)
		p.List = append(p.List, spec)
		return spec.Label + "|" + spec.key(), err
	})
	if err != nil {
		return Paths{}, err
	}
	return p, nil
}

func parsePathSpec(s string) (PathSpec, error) {
	label, rest, err := cutLabel(s)
	if err != nil {
		return PathSpec{}, err
	}
	e, err := parseEndpoint(rest, ISCSIPort)
	if err != nil {
		return PathSpec{}, err
	}
	if err := e.checkLink(label); err != nil {
		return PathSpec{}, err
	}
	return PathSpec{Label: label, Endpoint: e, Text: s}, nil
}
