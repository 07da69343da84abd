// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mallee-io/mallee/internal/durable"
)

// Fingerprint returns the SHA-256 of the CA's certificate, in hexadecimal digits.
func (a *CA) Fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// Parse returns the CA that has this certificate and this key, both PEM.
func Parse(certPEM, keyPEM []byte) (*CA, error) {
	certDER, err := decodePEM(certPEM, "CERTIFICATE")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CertFile, err)
	}
	keyDER, err := decodePEM(keyPEM, "PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
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

func decodePEM(text []byte, kind string) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("holds no %s in PEM", kind)
	}
	return block.Bytes, nil
}

// KeyPEM returns the CA's key, for a backup. Whoever has it can make himself a
// certificate of any part.
func (a *CA) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	return encodePEM("PRIVATE KEY", der), nil
}

// Install makes dir hold this CA, and none that it held before. Interrupted, it
// may leave no dir at all, and is to be called again.
func (a *CA) Install(dir string) error {
	if have, err := open(dir); err == nil && have.cert.Equal(a.cert) {
		return nil
	}
	err := a.put(dir, func(made, dir string) error {
		old := dir + ".replaced"
		if err := os.RemoveAll(old); err != nil {
			return err
		}
		if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Rename(made, dir); err != nil {
			return err
		}
		return os.RemoveAll(old)
	})
	if err != nil {
		return fmt.Errorf("cannot install the certificate authority in %s: %w", dir, err)
	}
	return nil
}

// put writes the CA to a directory of its own and has rename move that to dir, so
// that dir never holds half of one.
func (a *CA) put(dir string, rename func(from, to string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), ".ca-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	key, err := a.KeyPEM()
	if err != nil {
		return err
	}
	// All of it is on the disk before anybody gets a certificate: with a key that
	// a power failure has emptied every part would have to be visited.
	if err := writeSynced(filepath.Join(made, keyFile), key); err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(made, CertFile), a.CertPEM()); err != nil {
		return err
	}
	if err := durable.SyncDir(made); err != nil {
		return err
	}
	if err := rename(made, dir); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(filepath.Dir(dir)), durable.SyncDir(filepath.Dir(filepath.Dir(dir))))
}
