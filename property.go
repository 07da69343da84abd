// SPDX-License-Identifier: Apache-2.0

package mallee

// Property is one setting of a partition as the admin sees it.
type Property struct {
	Name        string // "PARTI00.storage.ncpaths"
	Value       string
	Default     string
	Description string
	ReadOnly    bool
}

// PropertyChange is what setting or resetting a property did.
type PropertyChange struct {
	Name     string
	Value    string
	OldValue string
}
