// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"slices"
	"strings"
)

// The names of the properties within a partition. The whole name has the
// partition before it: "PARTI00.storage.ncpaths".
const (
	PropertyBackend        = "storage.blockstoragemanager"
	PropertyCHAPUser       = "storage.chapuser"
	PropertyMaxTotalGiB    = "storage.maxtotalvolumesizeingb"
	PropertyMaxVolumeGiB   = "storage.maxvolumesizeingb"
	PropertyMinPaths       = "storage.minpaths"
	PropertyNCPaths        = "storage.ncpaths"
	PropertyNoPathTimeout  = "storage.nopathtimeout"
	PropertyResourcePrefix = "storage.resourceprefix"
	PropertyResourceSuffix = "storage.resourcesuffix"
	PropertySANHost        = "storage.sanhost"
	PropertySANPassword    = "storage.sanpassword"
	PropertySANUser        = "storage.sanuser"
	PropertySCPaths        = "storage.scpaths"
)

// NoUser is the value of chapuser with which each node logs in under a name of
// its own.
const NoUser = "nouser"

// PropertyType tells what a property's value is, so that a tool can help to type it.
type PropertyType string

// The types of property.
const (
	PathsProperty  PropertyType = "paths"  // see ParsePaths
	HostsProperty  PropertyType = "hosts"  // see ParseHosts
	NumberProperty PropertyType = "number" // a whole one
	TextProperty   PropertyType = "text"
)

// PropertyDefinition is a property that each partition has.
type PropertyDefinition struct {
	Name        string // within the partition: "storage.ncpaths"
	Type        PropertyType
	Default     string // the value until one is set, and after a reset
	Description string // the original's text where it had the property
	Rule        string // what a value must be, a sentence
	Reacts      string // who acts on a change and when, a sentence
	// Hidden is true for a value that never leaves the cloud controller towards
	// people: HiddenValue stands in its place.
	Hidden bool
	// Check returns why a value is refused, or nil. The error of a hidden property
	// does not hold the value.
	Check func(value string) error
}

// PropertyDefinitions returns all properties, sorted by name. It is the one place
// that they are known in: the API, the commands and docs/reference/properties.md
// are made from it.
func PropertyDefinitions() []PropertyDefinition {
	list := slices.Concat(pathProperties(), sanProperties(), limitProperties())
	slices.SortFunc(list, func(a, b PropertyDefinition) int { return strings.Compare(a.Name, b.Name) })
	return list
}

const pathsRule = "`nopath`, for every portal that the SAN advertises, or a list of `[LABEL:]HOST[:PORT]` with commas between. " +
	"HOST is an IPv4 address, an IPv6 address in brackets or a DNS name; LABEL is an entry of STORAGE_INTERFACES."

func pathProperties() []PropertyDefinition {
	return []PropertyDefinition{{
		Name: PropertyNCPaths, Type: PathsProperty, Default: NoPath, Check: checkPaths,
		Description: "iSCSI Paths for NC. Default value is 'nopath'",
		Rule:        pathsRule,
		Reacts: "Each node, a few at a time: attached volumes get the new paths first and lose the old ones then. " +
			"A list that would leave a node too few paths is refused, unless it is forced.",
	}, {
		Name: PropertySCPaths, Type: PathsProperty, Default: NoPath, Check: checkPaths,
		Description: "iSCSI Paths for SC. Default value is 'nopath'",
		Rule:        pathsRule,
		Reacts:      "The storage controller, at once.",
	}, {
		Name: PropertyMinPaths, Type: NumberProperty, Default: "1", Check: number("paths", MaxPaths),
		Description: "Verified paths that a volume has before its device is handed out.",
		Rule:        "A whole number from 1 to 32.",
		Reacts: "Each node at the next attach; volumes that are attached stay so. " +
			"A number that a node cannot reach is refused, unless it is forced.",
	}, {
		Name: PropertyNoPathTimeout, Type: NumberProperty, Default: "120", Check: number("seconds", 3600),
		Description: "How long I/O waits while a volume has no usable path, in seconds.",
		Rule:        "A whole number from 1 to 3600.",
		Reacts:      "Each node, at once, for attached volumes too.",
	}}
}

func sanProperties() []PropertyDefinition {
	return []PropertyDefinition{{
		Name: PropertySANHost, Type: HostsProperty, Check: checkHosts,
		Description: "Hostname for SAN device.",
		Rule: "Admin addresses of the SAN's storage processors, `HOST[:PORT]` with commas between; the port is 8775 without one. " +
			"Empty as long as there is no SAN.",
		Reacts: "The storage controller, at once.",
	}, {
		Name: PropertySANUser, Type: TextProperty, Check: checkWord,
		Description: "Username for SAN device.",
		Rule:        wordRule,
		Reacts:      "The storage controller, at its next call to the SAN.",
	}, {
		Name: PropertySANPassword, Type: TextProperty, Hidden: true, Check: checkPassword,
		Description: "Password for SAN device.",
		Rule:        wordRule + " Not `********`, which is what is shown in its place.",
		Reacts:      "The storage controller, at its next call to the SAN.",
	}, {
		Name: PropertyCHAPUser, Type: TextProperty, Default: NoUser, Check: checkCHAPUser,
		Description: "User ID for CHAP authentication",
		Rule: "`nouser`, for a name of each node's own, or 1 to 255 printable ASCII characters without blanks, not beginning with NULL. " +
			"Each node keeps a password of its own either way.",
		Reacts: "The SAN and the nodes at their next logins; sessions that are there go on.",
	}, {
		Name: PropertyBackend, Type: TextProperty, Default: backend, Check: checkBackend,
		Description: "EBS Block Storage Manager to use for backend",
		Rule:        "`" + backend + "`, the only one there is.",
		Reacts:      "Nobody: it cannot be changed.",
	}, {
		Name: PropertyResourcePrefix, Type: TextProperty, Check: checkPrefix,
		Description: "Prefix for resource name on SAN",
		Rule:        "At most 32 letters, digits, `_`, `.` and `-`, the first no `-` and no `.`.",
		Reacts:      "The storage controller when it makes a volume; volumes that are there keep their names.",
	}, {
		Name: PropertyResourceSuffix, Type: TextProperty, Check: checkAffix,
		Description: "Suffix for resource name on SAN",
		Rule:        "At most 32 letters, digits, `_`, `.` and `-`.",
		Reacts:      "The storage controller when it makes a volume; volumes that are there keep their names.",
	}}
}

func limitProperties() []PropertyDefinition {
	return []PropertyDefinition{{
		Name: PropertyMaxTotalGiB, Type: NumberProperty, Default: "500", Check: number("GiB", maxTotalGiB),
		Description: "Total disk space reserved for volumes",
		Rule:        "A whole number of GiB from 1 to 1073741824.",
		Reacts:      "The cloud controller when a volume is made or grows; volumes that are there stay.",
	}, {
		Name: PropertyMaxVolumeGiB, Type: NumberProperty, Default: "100", Check: number("GiB", MaxSizeGiB),
		Description: "Max volume size",
		Rule:        "A whole number of GiB from 1 to 16384.",
		Reacts:      "The cloud controller when a volume is made or grows; volumes that are there stay.",
	}}
}
