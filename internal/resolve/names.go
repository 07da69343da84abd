// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// lookupInterval is the time between two look-ups of a name: the system's
	// resolver tells no time to live. One that has failed is tried again sooner.
	lookupInterval = 30 * time.Second
	failedInterval = 5 * time.Second
	// nameLife is for how long a name is followed that nobody asks for.
	nameLife = time.Hour
)

// name is a DNS name and what is known of it.
type name struct {
	text     string
	families [2][]netip.Addr // IPv4 and IPv6, each sorted; as DNS has last told them
	fault    string          // of the last look-up; empty if it told all
	warnings []string        // about addresses that were left out
	looked   chan struct{}   // closed and renewed when a look-up has ended
	known    bool            // one has
	running  bool            // a look-up is under way
	due      time.Time       // of the next one
	asked    time.Time       // when somebody wanted to know of it
}

func (n *name) addrs() []netip.Addr { return slices.Concat(n.families[0], n.families[1]) }

// name returns what is known of a DNS name, and begins to follow it. r.mu is held.
func (r *Resolver) name(text string) *name {
	text = strings.ToLower(text) // names have no case (RFC 4343)
	n := r.names[text]
	if n == nil {
		n = &name{text: text, looked: make(chan struct{}), due: time.Now()}
		r.names[text] = n
		r.wake()
	}
	n.asked = time.Now()
	return n
}

// wake has Run start the look-ups that are due.
func (r *Resolver) wake() {
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// lookupNow has a DNS name looked up, and returns a channel that is closed when
// that has ended. r.mu is held.
func (r *Resolver) lookupNow(text string) <-chan struct{} {
	n := r.name(text)
	n.due = time.Now()
	r.wake()
	return n.looked
}

// lookupAll makes all look-ups due. r.mu is held.
func (r *Resolver) lookupAll() {
	for _, n := range r.names {
		n.due = time.Now()
	}
	r.wake()
}

// dueNames returns the names to look up now, and forgets those that nobody asks for.
func (r *Resolver) dueNames() []*name {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []*name
	for text, n := range r.names {
		switch {
		case n.running:
		case time.Since(n.asked) > nameLife:
			delete(r.names, text)
		case !n.due.After(time.Now()):
			n.running = true
			due = append(due, n)
		}
	}
	return due
}
