// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee/internal/durable"
)

// BundleFile is the one file of a bundle's directory: key, certificate and the
// CA's certificate, in PEM. As one file they are replaced as one: nobody ever
// finds a key beside the certificate of another.
const BundleFile = "bundle.pem"

// Bundle is what a part proves itself with and checks others by. It is safe for
// concurrent use, also while it is replaced.
type Bundle struct{ current atomic.Pointer[material] }

// material is what a bundle holds at one time. It is never changed.
type material struct {
	text  []byte // PEM, as it is kept in BundleFile
	roots *x509.CertPool
	cert  tls.Certificate
	own   Identity
}

// LoadBundle reads the bundle in dir. A file that group or others may read is
// refused: whoever holds the key is that part.
func LoadBundle(dir string) (*Bundle, error) {
	path := filepath.Join(dir, BundleFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot load certificates: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("cannot load certificates: %s has mode %04o and can be read by others: chmod 0600 it", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot load certificates: %w", err)
	}
	m, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("cannot load certificates from %s: %w", path, err)
	}
	b := &Bundle{}
	b.current.Store(m)
	return b, nil
}

// ParseBundle makes a bundle of the PEM texts of the CA's certificate, the
// part's own and its key.
func ParseBundle(caPEM, certPEM, keyPEM []byte) (*Bundle, error) {
	m, err := parse(bytes.Join([][]byte{keyPEM, certPEM, caPEM}, nil))
	if err != nil {
		return nil, err
	}
	b := &Bundle{}
	b.current.Store(m)
	return b, nil
}

// Take puts what next holds in the place of what b does. Connections that are up
// stay; those made from now on use what is new.
func (b *Bundle) Take(next *Bundle) { b.current.Store(next.current.Load()) }

// Write writes the bundle for LoadBundle to dir, which is made with mode 0700 if
// it is not there, through to the disk. Whoever reads meanwhile finds the old one
// or the new one.
func (b *Bundle) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot write certificates: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(dir, BundleFile), b.current.Load().text, 0o600); err != nil {
		return fmt.Errorf("cannot write certificates: %w", err)
	}
	// The name too: a power failure that brought the former certificate
	// back, after the new one was used, would lock the part out.
	if err := durable.SyncDir(dir); err != nil {
		return fmt.Errorf("cannot write certificates: %w", err)
	}
	return nil
}

// parse reads key, certificate and the CA's certificate, in this order.
func parse(text []byte) (*material, error) {
	key, rest := pem.Decode(text)
	cert, rest := pem.Decode(rest)
	if key == nil || cert == nil {
		return nil, errors.New("there must be a key, its certificate and the certificate of the CA, in PEM")
	}
	m := &material{text: text, roots: x509.NewCertPool()}
	var err error
	if m.cert, err = tls.X509KeyPair(pem.EncodeToMemory(cert), pem.EncodeToMemory(key)); err != nil {
		return nil, fmt.Errorf("certificate and key: %w", err)
	}
	if !m.roots.AppendCertsFromPEM(rest) {
		return nil, errors.New("no certificate of the CA in PEM")
	}
	// The CA's goes out with the part's own: a machine that joins knows the CA by
	// a pin alone, and must be shown what to hold it against.
	for root, rest := pem.Decode(rest); root != nil; root, rest = pem.Decode(rest) {
		m.cert.Certificate = append(m.cert.Certificate, root.Bytes)
	}
	m.own, err = identify(m.cert.Leaf)
	return m, err
}

// Certificate returns the part's own certificate with its key and the CA's, for
// a server that speaks something other than gRPC.
func (b *Bundle) Certificate() *tls.Certificate { return &b.current.Load().cert }

// Identity returns who the bundle's certificate is for.
func (b *Bundle) Identity() Identity { return b.current.Load().own }

// Ends returns until when the certificate is good.
func (b *Bundle) Ends() time.Time { return b.current.Load().cert.Leaf.NotAfter }

// RenewAt returns when the certificate is due to be renewed: when two thirds of
// its life are over, so that there is time to mend what keeps it from that.
func (b *Bundle) RenewAt() time.Time {
	leaf := b.current.Load().cert.Leaf
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
}

// Metric tells when the certificate ends.
func (b *Bundle) Metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mallee_certificate_end_timestamp_seconds",
		Help: "Until when this part's certificate is good. It is renewed when two thirds of its life are over.",
	}, func() float64 { return float64(b.Ends().Unix()) })
}
