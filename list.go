// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// ListError tells which element of a list breaks which rule.
type ListError struct {
	Index   int    // of the element, from 1
	Offset  int    // where it begins, in bytes from 0
	Element string // without the blanks around it
	Rule    error
}

func (e *ListError) Error() string {
	return fmt.Sprintf("element %d (at character %d), %q: %v", e.Index, e.Offset+1, e.Element, e.Rule)
}

// Unwrap returns the rule.
func (e *ListError) Unwrap() error { return e.Rule }

// eachElement parses each element of a list. The key that parse returns tells two
// elements that are the same.
func eachElement(s string, parse func(element string) (key string, err error)) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("the list is empty: write %s or at least one host", NoPath)
	}
	elements := strings.Split(s, ",")
	if last := len(elements) - 1; last > 0 && strings.TrimSpace(elements[last]) == "" {
		elements = elements[:last]
	}
	if len(elements) > MaxPaths {
		return fmt.Errorf("the list has %d elements, and may have %d", len(elements), MaxPaths)
	}
	seen := map[string]int{}
	offset := 0
	for i, raw := range elements {
		element := strings.TrimSpace(raw)
		failed := func(rule error) error {
			return &ListError{Index: i + 1, Offset: offset + strings.Index(raw, element), Element: element, Rule: rule}
		}
		if element == "" {
			return failed(fmt.Errorf("it is empty: write hosts with single commas between"))
		}
		key, err := parse(element)
		if err != nil {
			return failed(err)
		}
		if first, twice := seen[key]; twice {
			return failed(fmt.Errorf("it is element %d again", first))
		}
		seen[key] = i + 1
		offset += len(raw) + 1
	}
	return nil
}

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
	if strings.Trim(tail, "0123456789") == "" && tail != "" {
		return "", s, nil // a name and its port
	}
	switch {
	case tail == "":
		return "", "", fmt.Errorf("nothing follows the colon")
	case head == "":
		return "", "", fmt.Errorf("the label before the colon is empty")
	case !ValidLabel(head):
		return "", "", fmt.Errorf("the label %q has other characters than letters, digits, '_', '-' and '.', or more than 64", head)
	}
	return head, tail, nil
}
