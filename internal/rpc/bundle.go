// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The files of a bundle's directory, all PEM.
const (
	CAFile   = "ca.pem"
	CertFile = "cert.pem"
	KeyFile  = "key.pem"
)

// Bundle is what a part proves itself with and checks others by. It is not
// changed after it was made and so is safe for concurrent use.
type Bundle struct {
	roots *x509.CertPool
	cert  tls.Certificate
}

// LoadBundle reads the bundle in dir. A key that group or others may read is
// refused: whoever holds it is that part.
func LoadBundle(dir string) (*Bundle, error) {
	keyPath := filepath.Join(dir, KeyFile)
	info, err := os.Stat(keyPath)
	if err != nil {
		return nil, fmt.Errorf("cannot load certificates: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("cannot load certificates: %s has mode %04o and can be read by others: chmod 0600 it", keyPath, mode)
	}
	var pems [3][]byte
	for i, name := range []string{CAFile, CertFile, KeyFile} {
		if pems[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("cannot load certificates: %w", err)
		}
	}
	b, err := ParseBundle(pems[0], pems[1], pems[2])
	if err != nil {
		return nil, fmt.Errorf("cannot load certificates from %s: %w", dir, err)
	}
	return b, nil
}

// ParseBundle makes a bundle of the PEM texts of the CA's certificate, the
// part's own and its key.
func ParseBundle(caPEM, certPEM, keyPEM []byte) (*Bundle, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		return nil, errors.New("no certificate of the CA in PEM")
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate and key: %w", err)
	}
	return &Bundle{roots: roots, cert: cert}, nil
}

// Certificate returns the part's own certificate with its key, for a server
// that speaks something other than gRPC.
func (b *Bundle) Certificate() tls.Certificate { return b.cert }

func (b *Bundle) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{b.cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    b.roots,
	}
}

func (b *Bundle) clientTLS(server Role) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{b.cert},
		RootCAs:      b.roots,
		ServerName:   server.ServerName(),
	}
}
