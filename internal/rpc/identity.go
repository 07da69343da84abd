// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/x509"
	"errors"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Identity is who a certificate is for.
type Identity struct {
	Role      Role
	Name      string
	Partition string // empty for a cloud controller, which is of none
	Joining   string // id of the joining; empty for a part that has not joined
	Serial    string // of the certificate, hexadecimal
}

// String returns role and name, "sc sc1".
func (i Identity) String() string { return string(i.Role) + " " + i.Name }

func identify(cert *x509.Certificate) (Identity, error) {
	subject := cert.Subject
	if subject.CommonName == "" || len(subject.OrganizationalUnit) != 1 || len(subject.Organization) > 1 {
		return Identity{}, errors.New("the certificate names no part: it needs a common name, one organizational unit and one organization at most")
	}
	i := Identity{
		Role: Role(subject.OrganizationalUnit[0]), Name: subject.CommonName,
		Joining: subject.SerialNumber, Serial: Serial(cert),
	}
	if len(subject.Organization) == 1 {
		i.Partition = subject.Organization[0]
	}
	return i, nil
}

// Serial returns the serial number of a certificate, hexadecimal.
func Serial(cert *x509.Certificate) string { return cert.SerialNumber.Text(16) }

// session is a connection that a server has taken, after its handshake.
type session struct {
	credentials.TLSInfo

	admitted atomic.Bool // since the first call that was
}

// Peer returns who made the call of ctx, as the verified certificate tells it.
// It fails outside of a call that came in over mTLS.
func Peer(ctx context.Context) (Identity, error) {
	s, err := sessionOf(ctx)
	if err != nil {
		return Identity{}, err
	}
	return identify(s.State.VerifiedChains[0][0])
}

func sessionOf(ctx context.Context) (*session, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, errors.New("no peer: not the context of an incoming call")
	}
	s, ok := p.AuthInfo.(*session)
	if !ok || len(s.State.VerifiedChains) == 0 {
		return nil, errors.New("the peer has shown no certificate of this cluster")
	}
	return s, nil
}
