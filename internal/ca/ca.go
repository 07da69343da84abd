// SPDX-License-Identifier: Apache-2.0

// Package ca is the cluster's certificate authority: one key, kept in a
// directory of the cloud controller, that signs the certificate of every part.
//
// The form of a part's certificate is told in package rpc.
package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The files of a CA's directory, PEM. The certificate may be given to anybody,
// as AWS_CA_BUNDLE for example; the key must not leave the directory.
const (
	CertFile = "ca.pem"
	keyFile  = "ca-key.pem"
)

const caValidity = 10 * 365 * 24 * time.Hour

// backdate is how far before now a certificate begins to be good, since clocks
// of machines differ.
const backdate = time.Hour

// CA signs certificates. It is not changed after it was opened and so is safe
// for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// OpenOrCreate opens the CA in dir. If dir is empty or not there, a CA is made;
// of two processes that do so at once, both get the same one. A directory with
// only half of a CA is an error, since a new CA would cut every part off.
func OpenOrCreate(dir string) (*CA, error) {
	a, err := open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(dir); err == nil || errors.Is(err, fs.ErrExist) {
			a, err = open(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the certificate authority in %s: %w", dir, err)
	}
	return a, nil
}

// CertPEM returns the CA's certificate in PEM.
func (a *CA) CertPEM() []byte { return encodePEM("CERTIFICATE", a.cert.Raw) }

// Certificate returns the CA's certificate.
func (a *CA) Certificate() *x509.Certificate { return a.cert }

func open(dir string) (*CA, error) {
	certDER, err := readPEM(filepath.Join(dir, CertFile), "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	keyDER, err := readPEM(filepath.Join(dir, keyFile), "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CertFile, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("%s and %s do not belong together", CertFile, keyFile)
	}
	return &CA{cert: cert, key: key}, nil
}

// create makes a CA in a directory of its own and renames that to dir, so that
// dir never holds half of one. rename(2) replaces an empty directory and
// refuses one that holds anything.
func create(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), ".ca-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	cert, key, err := newRoot()
	if err != nil {
		return err
	}
	// All of it is on the disk before anybody gets a certificate: with a key that
	// a power failure has emptied every part would have to be visited.
	if err := writeSynced(filepath.Join(made, keyFile), encodePEM("PRIVATE KEY", key)); err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(made, CertFile), encodePEM("CERTIFICATE", cert)); err != nil {
		return err
	}
	if err := syncDir(made); err != nil {
		return err
	}
	if err := os.Rename(made, dir); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(dir)), syncDir(filepath.Dir(filepath.Dir(dir))))
}

// writeSynced writes a new file that its owner alone may read, through to the disk.
func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir brings the names in a directory to the disk (fsync(2): those of a file
// are not with it).
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// newRoot returns a self-signed certificate and its key, both DER.
func newRoot() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Mallee cluster CA"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	if cert, err = x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k); err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(k)
	return cert, key, err
}

func readPEM(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM", path, kind)
	}
	return block.Bytes, nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
