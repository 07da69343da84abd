// SPDX-License-Identifier: Apache-2.0

// Package rpc is how the parts of the system talk: gRPC over TLS 1.3 with a
// certificate on either side.
//
// A part is a process of one role. Its certificate, issued by the cluster's CA,
// is its identity: the common name is the part's name, the organizational unit
// its role, the organization its partition, and the DNS name
// "ROLE.mallee.internal" what a caller asks for. A part is thus known by what it
// is and not by where it is, and may change its address. A joining is the one
// act that made a machine this part; the certificates that are renewed from one
// another bear its id as the subject's serial number (X.520 §6.2.9). A bundle is
// what a part needs: the CA's certificate, its own, and its key.
package rpc

import (
	"github.com/mallee-io/mallee"
)

// Role is what a part does.
type Role = mallee.Role

// The roles.
const (
	CLC Role = "clc" // cloud controller; it does not join
	SC       = mallee.RoleSC
	NC       = mallee.RoleNC
	SP       = mallee.RoleSP
)

// Domain is the DNS domain of the names in certificates. It is reserved for
// private use (".internal", ICANN resolution 2024.07.29.06) and never resolved.
const Domain = "mallee.internal"

// maxMessage bounds a message either way. States and reports are told whole:
// with gRPC's default for what is received, 4 MiB, a partition of some ten
// thousand volumes would come to a standstill.
const maxMessage = 64 << 20

// ValidRole reports whether r is one of the roles.
func ValidRole(r Role) bool { return r == CLC || Joins(r) }

// Joins reports whether r is a role whose parts join with a token.
func Joins(r Role) bool { return r == SC || r == NC || r == SP }

// ServerName returns the DNS name that the certificate of every part of a role
// carries.
func ServerName(r Role) string { return string(r) + "." + Domain }
