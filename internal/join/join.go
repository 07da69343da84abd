// SPDX-License-Identifier: Apache-2.0

package join

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/rpc"
)

// keyFile holds, in the bundle's directory, the key of a joining that has not
// come to its end. A token is good for the first key that it is used with: should
// the answer be lost, the same key is sent again.
const keyFile = "joining.pem"

// Options of a joining. All but Initiator are required.
type Options struct {
	URL       string // of the cloud controller, "https://host:8773"
	Token     Token
	Dir       string     // of the bundle; it is made
	Initiator mallee.IQN // of a node
}

// Join makes this machine the part that the token is for: it leaves a bundle and
// the agents' addresses of the cloud controller in o.Dir. Doing so again after it
// has succeeded is success and calls nobody.
func Join(ctx context.Context, o Options) error {
	err := join(ctx, o)
	if _, ok := errors.AsType[*mallee.Error](err); err != nil && !ok {
		err = fmt.Errorf("cannot join as %s: %w", o.Token.Name, err)
	}
	return err
}

func join(ctx context.Context, o Options) error {
	if have, err := rpc.LoadBundle(o.Dir); err == nil && have.Identity().Joining == o.Token.ID {
		return nil
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	key, err := pendingKey(filepath.Join(o.Dir, keyFile))
	if err != nil {
		return err
	}
	csr, err := request(key)
	if err != nil {
		return err
	}
	answer, err := ask(ctx, o.URL, o.Token.Pin, Request{
		ID: o.Token.ID, Secret: o.Token.Secret, Role: o.Token.Role, CSR: csr, Initiator: o.Initiator,
	})
	if err != nil {
		return err
	}
	bundle, err := newBundle(key, answer.Certificate, answer.CA)
	if err != nil {
		return fmt.Errorf("the cloud controller's answer: %w", err)
	}
	if got, t := bundle.Identity(), o.Token; got.Role != t.Role || got.Name != t.Name || got.Partition != t.Partition || got.Joining != t.ID {
		return fmt.Errorf("the certificate is for %s of partition %s, and the token for %s %s of partition %s", got, got.Partition, t.Role, t.Name, t.Partition)
	}
	if err := reachable(o.URL, answer.CLC); err != nil {
		return err
	}
	// The bundle comes last: with it the machine has joined.
	if err := writeAddresses(o.Dir, answer.CLC); err != nil {
		return err
	}
	if err := bundle.Write(o.Dir); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(o.Dir, keyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// pendingKey returns the key in a file, and makes it if there is none.
func pendingKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		if block, _ := pem.Decode(text); block != nil {
			if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				if key, ok := parsed.(*ecdsa.PrivateKey); ok {
					return key, nil
				}
			}
		}
		return nil, fmt.Errorf("%s holds no key: remove it", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	text, err = encodeKey(key)
	if err != nil {
		return nil, err
	}
	return key, renameio.WriteFile(path, text, 0o600)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// request returns the request to certify a key, DER.
func request(key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func newBundle(key *ecdsa.PrivateKey, certPEM, caPEM []byte) (*rpc.Bundle, error) {
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return rpc.ParseBundle(caPEM, certPEM, keyPEM)
}
