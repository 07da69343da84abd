// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/mallee-io/mallee/internal/rpc"
)

// DefaultValidity is for how long a part's certificate is good unless said
// otherwise. Certificates are renewed by hand, so it is long.
const DefaultValidity = 5 * 365 * 24 * time.Hour

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
)

// IssueOptions says for which part a certificate is.
type IssueOptions struct {
	Role     rpc.Role
	Name     string        // the part's name: letters, digits and ._-, at most 63
	Hosts    []string      // host names and addresses that it is good for as well
	Validity time.Duration // DefaultValidity when zero; never longer than the CA's own
}

// Issue makes a key and a certificate for a part. The key is not kept.
func (a *CA) Issue(o IssueOptions) (certPEM, keyPEM, caPEM []byte, err error) {
	template, err := a.template(o)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	return encodePEM("CERTIFICATE", cert), encodePEM("PRIVATE KEY", der), a.CertPEM(), nil
}

func (a *CA) template(o IssueOptions) (*x509.Certificate, error) {
	if !o.Role.Valid() {
		return nil, fmt.Errorf("role %q is unknown: write clc, sc, nc or sp", o.Role)
	}
	if !nameForm.MatchString(o.Name) {
		return nil, fmt.Errorf("name %q: write letters, digits, '.', '_' and '-', at most 63", o.Name)
	}
	if o.Validity < 0 {
		return nil, errors.New("the validity is negative")
	}
	if o.Validity == 0 {
		o.Validity = DefaultValidity
	}
	now := time.Now()
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: o.Name, OrganizationalUnit: []string{string(o.Role)}},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(o.Validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{o.Role.ServerName()},
	}
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	for _, host := range o.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		// A name in the parts' own domain would let this part pass for another
		// role's server.
		if !hostForm.MatchString(host) || strings.HasSuffix(strings.ToLower(host), rpc.Domain) {
			return nil, fmt.Errorf("host %q: write a host name outside of %s, or an address", host, rpc.Domain)
		}
		t.DNSNames = append(t.DNSNames, host)
	}
	return t, nil
}

// WriteBundle writes a bundle for rpc.LoadBundle to dir, which is made with
// mode 0700 if it is not there. Each file is replaced whole; the key gets mode
// 0600.
func WriteBundle(dir string, certPEM, keyPEM, caPEM []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot write certificates: %w", err)
	}
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{
		{rpc.KeyFile, keyPEM, 0o600}, {rpc.CertFile, certPEM, 0o644}, {rpc.CAFile, caPEM, 0o644},
	} {
		if err := renameio.WriteFile(filepath.Join(dir, f.name), f.text, f.mode); err != nil {
			return fmt.Errorf("cannot write certificates: %w", err)
		}
	}
	return nil
}
