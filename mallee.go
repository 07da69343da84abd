// SPDX-License-Identifier: Apache-2.0

// Package mallee holds the nouns of the system: volumes, nodes, attachments,
// exports and paths, their ids and states, and the one error type that reaches
// people.
//
// A volume is a block device kept by the SAN of a partition (EC2's availability
// zone). A node is a machine that volumes are attached to; the EC2 API shows it
// as an instance. An attachment is the wish that a volume be a device on a node,
// and what became of it. An export is what the SAN offers one initiator for one
// volume: target, LUN, WWID and portals. A path is one way from a node to an
// export through one portal.
//
// The package imports the standard library only and is imported by everything
// but package connector and what that stands on.
package mallee
