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
// as AWS_CA_BUNDLE for example; the key must not leave the directory but in a backup.
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
	cert, err := os.ReadFile(filepath.Join(dir, CertFile))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	return Parse(cert, key)
}

// create makes a CA and puts it in dir. rename(2) replaces an empty directory
// and refuses one that holds anything.
func create(dir string) error {
	a, err := newCA()
	if err != nil {
		return err
	}
	return a.put(dir, os.Rename)
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

func newCA() (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
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
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &CA{cert: cert, key: key}, err
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
