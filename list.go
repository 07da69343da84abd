// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ListError tells which element of a list breaks which rule.
type ListError struct {
	Index   int    // of the element, from 1
	Offset  int    // where it begins, in characters from 0
	Element string // without the blanks around it
	Rule    error
}

func (e *ListError) Error() string {
	return fmt.Sprintf("element %d (at character %d), %s: %v", e.Index, e.Offset+1, quote(e.Element), e.Rule)
}

// Unwrap returns the rule.
func (e *ListError) Unwrap() error { return e.Rule }

// maxElement is the length of the longest element that there can be: label, DNS
// name with its dot, port.
const maxElement = 64 + len(":") + 254 + len(":65535")

// eachElement parses each element of a list that has some. The key that parse
// returns tells two elements that are the same. An error is a *ListError.
func eachElement(s string, parse func(element string) (key string, err error)) error {
	elements := strings.Split(s, ",")
	if last := len(elements) - 1; last > 0 && strings.TrimSpace(elements[last]) == "" {
		elements = elements[:last]
	}
	seen := map[string]int{}
	offset := 0
	for i, raw := range elements {
		element := strings.TrimSpace(raw)
		failed := func(format string, args ...any) error {
			before, _, _ := strings.Cut(raw, element)
			return &ListError{Index: i + 1, Offset: offset + utf8.RuneCountInString(before), Element: element, Rule: fmt.Errorf(format, args...)}
		}
		switch {
		case i == MaxPaths:
			return failed("a list may have %d elements, and this one has %d", MaxPaths, len(elements))
		case element == "":
			return failed("it is empty: write hosts with single commas between")
		case len(element) > maxElement:
			return failed("it has %d characters, more than any label, host and port", len(element))
		}
		key, err := parse(element)
		if err != nil {
			return failed("%w", err)
		}
		if first, twice := seen[key]; twice {
			return failed("it is element %d again", first)
		}
		seen[key] = i + 1
		offset += utf8.RuneCountInString(raw) + len(",")
	}
	return nil
}

// quote quotes what an admin wrote, so much of it as an error can hold.
func quote(s string) string {
	const most = 80
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:most]) + "…"
}

// labelRule is what ValidLabel demands.
const labelRule = "at most 64 of letters, digits, '_', '-' and '.'"

var labelForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// ValidLabel reports whether s can be a label of STORAGE_INTERFACES.
func ValidLabel(s string) bool { return labelForm.MatchString(s) }

// cutLabel cuts LABEL: off [LABEL:]HOST[:PORT].
func cutLabel(s string) (label, rest string, err error) {
	head, tail, found := strings.Cut(s, ":")
	if !found || strings.HasPrefix(s, "[") {
		return "", s, nil
	}
	if _, err := netip.ParseAddr(head); err == nil {
		return "", s, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
		return "", s, nil // refused as a host, with a better word
	}
	if tail != "" && allDigits(tail) {
		return "", s, nil // a name and its port
	}
	switch {
	case tail == "":
		return "", "", fmt.Errorf("nothing follows the colon")
	case head == "":
		return "", "", fmt.Errorf("the label before the colon is empty")
	case !ValidLabel(head):
		return "", "", fmt.Errorf("the label %s breaks the rule: %s", quote(head), labelRule)
	}
	return head, tail, nil
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
