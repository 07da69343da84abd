// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/mallee-io/mallee"
)

// fresh makes each connection with what a bundle holds at that moment. gRPC's
// own credentials would keep what it held when the server or the client was made.
type fresh struct {
	credentials.TransportCredentials // says that this is TLS

	config func() *tls.Config
}

func newFresh(config func() *tls.Config) fresh {
	return fresh{credentials.NewTLS(config()), config}
}

func (f fresh) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(f.config()).ClientHandshake(ctx, authority, raw)
}

func (f fresh) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := credentials.NewTLS(f.config()).ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	known, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, nil, fmt.Errorf("gRPC tells of a handshake by %T", info)
	}
	return conn, &session{TLSInfo: known}, nil
}

func (f fresh) Clone() credentials.TransportCredentials { return newFresh(f.config) }

func (b *Bundle) serverTLS() *tls.Config {
	m := b.current.Load()
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{m.cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    m.roots,
		// A ticket would bring back a connection of a certificate that was
		// replaced meanwhile.
		SessionTicketsDisabled: true,
	}
}

func (b *Bundle) clientTLS(server Role) *tls.Config {
	m := b.current.Load()
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{m.cert},
		RootCAs:      m.roots,
		ServerName:   ServerName(server),
	}
}

// samePartition refuses to call a part of another partition. A refused handshake
// would do so as well, but gRPC tries those again and keeps the reason to itself.
type samePartition struct{ bundle *Bundle }

func (s samePartition) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	request, _ := credentials.RequestInfoFromContext(ctx)
	info, ok := request.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil, toStatus(denied("", "the peer has shown no certificate of this cluster"))
	}
	peer, err := identify(info.State.PeerCertificates[0])
	if err != nil {
		return nil, toStatus(denied("", "%w", err))
	}
	if own := s.bundle.Identity(); peer.Partition != own.Partition {
		return nil, toStatus(denied(peer.Name, "%s", OtherPartition(peer, own)))
	}
	return nil, nil
}

func (s samePartition) RequireTransportSecurity() bool { return true }

// OtherPartition says that two parts are of different partitions.
func OtherPartition(a, b Identity) string {
	return fmt.Sprintf("%s is of partition %s, and %s of partition %s", a, a.Partition, b, b.Partition)
}

func denied(id, format string, args ...any) error {
	return &mallee.Error{Op: "talk to part", Kind: mallee.Denied, ID: id, Err: fmt.Errorf(format, args...)}
}
