// SPDX-License-Identifier: Apache-2.0

package mallee

import "time"

// HiddenValue is shown in place of a hidden property's value.
const HiddenValue = "********"

// Property is one setting of a partition as the admin sees it.
type Property struct {
	Name        string // "PARTI00.storage.ncpaths"
	Value       string // HiddenValue for a hidden one that is set
	Default     string
	Description string
	ReadOnly    bool
}

// PropertySet is one wish to change a property.
type PropertySet struct {
	Name  string // "PARTI00.storage.ncpaths"
	Value string
	Reset bool // to the default; Value is then empty
	// If, when it is not nil, is the value that the property must have for the
	// change to be made: the one that the caller has seen.
	If *string
}

// PropertyChange is what setting or resetting a property did. Hidden values are
// HiddenValue.
type PropertyChange struct {
	Name     string
	Value    string
	OldValue string
}

// PropertyEvent is a change in a property's history.
type PropertyEvent struct {
	PropertyChange
	Time      time.Time
	AccessKey string // who has made it
	RequestID RequestID
	Reset     bool // to the default
	Forced    bool // although a machine would be left with too few paths
}
