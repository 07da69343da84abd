// SPDX-License-Identifier: Apache-2.0

package pathcheck

import (
	"fmt"
	"net/netip"
	"strings"
)

// A warning names at most so many machines, and there are at most so many
// warnings: a partition has thousands of nodes.
const (
	maxNames = 5
	maxLines = 40
)

// who stands in a warning for the machines that it is about.
const who = "\x00"

// ledger gathers what is the same of several machines into one warning, in the
// order in which it was first found.
type ledger struct {
	texts []string
	names map[string][]string // by text
}

func (w *ledger) add(name, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if w.names == nil {
		w.names = map[string][]string{}
	}
	have, known := w.names[text]
	if !known {
		w.texts = append(w.texts, text)
	}
	if !known || have[len(have)-1] != name {
		w.names[text] = append(have, name)
	}
}

func (w *ledger) lines() []string {
	var lines []string
	for i, text := range w.texts {
		if i == maxLines {
			return append(lines, fmt.Sprintf("and %d more like these", len(w.texts)-i))
		}
		lines = append(lines, strings.ReplaceAll(text, who, Names(w.names[text])))
	}
	return lines
}

// Names names machines, a few when they are many.
func Names(names []string) string {
	if len(names) <= maxNames+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
}

// samePortal reports whether two are one portal of the SAN. The zone of an address
// is a name of the machine that wrote it.
func samePortal(a, b string) bool {
	p, err := netip.ParseAddrPort(a)
	q, err2 := netip.ParseAddrPort(b)
	return err == nil && err2 == nil && p.Port() == q.Port() && p.Addr().WithZone("") == q.Addr().WithZone("")
}
