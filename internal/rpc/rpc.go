// SPDX-License-Identifier: Apache-2.0

// Package rpc is how the parts of the system talk: gRPC over TLS 1.3 with a
// certificate on either side.
//
// A part is a process of one role. Its certificate, issued by the cluster's CA,
// names it: the common name is the part's name, the organizational unit its
// role, and the DNS name "ROLE.mallee.internal" what a caller asks for. A part
// is thus known by what it is and not by where it is, and may change its
// address. A bundle is the three files that a part needs: the CA's certificate,
// its own, and its key.
package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Role is what a part does.
type Role string

// The roles.
const (
	CLC Role = "clc" // cloud controller
	SC  Role = "sc"  // storage controller of a partition
	NC  Role = "nc"  // node controller
	SP  Role = "sp"  // storage processor
)

// Domain is the DNS domain of the names in certificates. It is reserved for
// private use (".internal", ICANN resolution 2024.07.29.06) and never resolved.
const Domain = "mallee.internal"

// maxMessage bounds a message either way. States and reports are told whole:
// with gRPC's default for what is received, 4 MiB, a partition of some ten
// thousand volumes would come to a standstill.
const maxMessage = 64 << 20

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool {
	switch r {
	case CLC, SC, NC, SP:
		return true
	}
	return false
}

// ServerName returns the DNS name that the certificate of every part of this
// role carries.
func (r Role) ServerName() string { return string(r) + "." + Domain }

// Peer returns the role and the name of the part that made the call of ctx, as
// its verified certificate tells them. It fails outside of a call that came in
// over mTLS.
func Peer(ctx context.Context) (role Role, name string, err error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", "", errors.New("no peer: not the context of an incoming call")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", "", errors.New("the peer has shown no certificate of this cluster")
	}
	subject := info.State.VerifiedChains[0][0].Subject
	if subject.CommonName == "" || len(subject.OrganizationalUnit) != 1 {
		return "", "", errors.New("the peer's certificate names no part: it needs a common name and one organizational unit")
	}
	return Role(subject.OrganizationalUnit[0]), subject.CommonName, nil
}
