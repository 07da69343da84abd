// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"errors"
	"strings"
)

// Kind classes an error by what its receiver can do about it. It is mapped once
// to EC2's codes, once to gRPC's and once to exit codes.
type Kind string

// The kinds of error.
const (
	Invalid          Kind = "invalid"           // a value breaks a rule; ID names the value
	Malformed        Kind = "malformed"         // an id is not of its form
	NotFound         Kind = "not found"         // what ID names does not exist
	InUse            Kind = "in use"            // the volume is attached, perhaps elsewhere
	NotAttached      Kind = "not attached"      // the volume is not attached there
	IncorrectState   Kind = "incorrect state"   // not now; another state must come first
	Modifying        Kind = "modifying"         // not now; the volume is still growing
	PathsUnreachable Kind = "paths unreachable" // a machine would be left with too few paths; it can be forced
	Changed          Kind = "changed"           // the value is no longer the one that the caller has seen
	TooMany          Kind = "too many"          // there may be no more of these
	OverLimit        Kind = "over a limit"      // more than the admin allows
	ZoneMismatch     Kind = "zone mismatch"     // the volume and the node are in different partitions
	Exhausted        Kind = "exhausted"         // the pool has no room
	ReadOnly         Kind = "read-only"         // the value cannot be set
	Mismatch         Kind = "mismatch"          // an idempotency token was used with other parameters
	Denied           Kind = "denied"            // not allowed to this caller
	Unavailable      Kind = "unavailable"       // a part does not answer; the same call may succeed later
	Internal         Kind = "internal"          // a defect or a fault of ours
)

// Error is an error as people see it: "cannot attach vol-1a2b3c4d: …". It holds
// no secrets and no raw output of tools.
type Error struct {
	Op   string // what was tried: "attach", "delete", "set"
	Kind Kind
	ID   string // what it was tried on, or the value at fault
	Hint string // the next step, for a person; may be empty
	Err  error  // the cause; never nil
}

// Error returns one line without the hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("cannot ")
	b.WriteString(e.Op)
	if e.ID != "" {
		b.WriteString(" ")
		b.WriteString(e.ID)
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost Error in err's chain, and Internal
// for any other error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
