// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// Group 1 is the value with whatever follows it. '#' stands before no match, so
// that a line which is commented out is none.
var storageInterfacesLine = regexp.MustCompile(`^[ \t]*STORAGE_INTERFACES[ \t]*=[ \t]*(.*)$`)

// ParseStorageInterfaces takes the text of the original's eucalyptus.conf and
// returns what the line
//
//	STORAGE_INTERFACES="iface0=br0,iface1=eth1"
//
// says: the net device of each label. The line may be indented, its value quoted
// doubly, singly or not at all, and a comment may follow. Blanks may stand around
// '=', commas and names; empty entries are dropped. Of several such lines the
// last counts, as in a shell, which the file is written for; the original took
// the first. Of several entries for a label the last counts too.
//
// A warning names the line and what is at fault with it. What is at fault is left
// out, and the rest is good: each label is a ValidLabel, each net device a
// ValidNetDevice. Without the line there is no label.
func ParseStorageInterfaces(text string) (devices map[string]string, warnings []string) {
	first, last := 0, 0 // lines, from 1
	var firstDevices map[string]string
	for i, line := range strings.Split(text, "\n") {
		match := storageInterfacesLine.FindStringSubmatch(strings.TrimSuffix(line, "\r"))
		if match == nil {
			continue
		}
		last = i + 1
		devices, warnings = parseInterfaces(match[1], last)
		if first == 0 {
			first, firstDevices = last, devices
		}
	}
	if !maps.Equal(firstDevices, devices) {
		warnings = append(warnings, fmt.Sprintf("line %d: it counts, not line %d, which says something else: leave one STORAGE_INTERFACES", last, first))
	}
	return devices, warnings
}

func parseInterfaces(value string, line int) (devices map[string]string, warnings []string) {
	warn := func(format string, args ...any) {
		warnings = append(warnings, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
	}
	value, fault := unquote(value)
	if fault != "" {
		warn("%s", fault)
	}
	devices = map[string]string{}
	for entry := range strings.SplitSeq(value, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		label, device, found := strings.Cut(entry, "=")
		label, device = strings.TrimSpace(label), strings.TrimSpace(device)
		switch before, twice := devices[label]; {
		case !found:
			warn("%s is left out: write LABEL=DEVICE", quote(entry))
			continue
		case !ValidLabel(label):
			warn("%s is left out: the label %s breaks the rule: %s", quote(entry), quote(label), labelRule)
			continue
		case !ValidNetDevice(device):
			warn("%s is left out: %s is no name of a network device", quote(entry), quote(device))
			continue
		case twice && before != device:
			warn("the label %q is there twice: %s counts, %s does not", label, device, before)
		}
		devices[label] = device
	}
	return devices, warnings
}

// unquote returns the value at the beginning of s without quotes and comment.
func unquote(s string) (value, fault string) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		// A shell sees a comment only where a word begins.
		for i := range len(s) {
			if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
				return s[:i], ""
			}
		}
		return s, ""
	}
	value, rest, closed := strings.Cut(s[1:], s[:1])
	rest = strings.TrimSpace(rest)
	switch {
	case !closed:
		return value, "the quote is not closed"
	case rest != "" && rest[0] != '#':
		return value, fmt.Sprintf("%s after the closing quote is left out", quote(rest))
	}
	return value, ""
}
