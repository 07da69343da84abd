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
	"regexp"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/rpc"
)

// DefaultValidity is for how long a part's certificate is good unless said
// otherwise. Parts renew theirs by themselves.
const DefaultValidity = 30 * 24 * time.Hour

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
)

// IssueOptions says for which part a certificate is.
type IssueOptions struct {
	Role rpc.Role
	Name string // the part's name: letters, digits and ._-, at most 63
	// Partition is the one that the part works for; empty for a cloud controller.
	Partition string
	Joining   string        // id of the part's joining; empty for one that did not join
	Hosts     []string      // host names and addresses that it is good for as well
	Validity  time.Duration // DefaultValidity when zero; never longer than the CA's own
}

// Check reports the first value that breaks a rule.
func (o IssueOptions) Check() error {
	_, err := o.template()
	return err
}

// Sign makes a certificate for a part of the key that csr, a PKCS#10 request in
// DER, is signed with. Nothing else in csr is looked at.
func (a *CA) Sign(csr []byte, o IssueOptions) (*x509.Certificate, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err == nil {
		// Without this, one could have the public key of another certified.
		err = request.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot issue a certificate: the request for it is bad: %w", err)
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("cannot issue a certificate: the key must be of curve P-256")
	}
	return a.sign(key, o)
}

// Issue makes a key and a certificate for a part. The key is not kept.
func (a *CA) Issue(o IssueOptions) (certPEM, keyPEM, caPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	cert, err := a.sign(&key.PublicKey, o)
	if err != nil {
		return nil, nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	return encodePEM("CERTIFICATE", cert.Raw), encodePEM("PRIVATE KEY", der), a.CertPEM(), nil
}

func (a *CA) sign(key *ecdsa.PublicKey, o IssueOptions) (*x509.Certificate, error) {
	template, err := o.template()
	if err != nil {
		return nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("cannot issue a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func (o IssueOptions) template() (*x509.Certificate, error) {
	if !rpc.ValidRole(o.Role) {
		return nil, fmt.Errorf("role %q is unknown: write clc, sc, nc or sp", o.Role)
	}
	if !nameForm.MatchString(o.Name) {
		return nil, fmt.Errorf("name %q: write letters, digits, '.', '_' and '-', at most 63", o.Name)
	}
	if o.Partition == "" && rpc.Joins(o.Role) || o.Partition != "" && !mallee.ValidPartition(o.Partition) {
		return nil, fmt.Errorf("partition %q: write a letter, then up to 62 letters, digits, '_' and '-'", o.Partition)
	}
	if o.Validity < 0 {
		return nil, errors.New("the validity is negative")
	}
	if o.Validity == 0 {
		o.Validity = DefaultValidity
	}
	now := time.Now()
	t := &x509.Certificate{
		Subject:   pkix.Name{CommonName: o.Name, OrganizationalUnit: []string{string(o.Role)}, SerialNumber: o.Joining},
		NotBefore: now.Add(-min(backdate, o.Validity/10)), // RenewAt goes by the whole
		NotAfter:  now.Add(o.Validity), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{rpc.ServerName(o.Role)},
	}
	if o.Partition != "" {
		t.Subject.Organization = []string{o.Partition}
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
