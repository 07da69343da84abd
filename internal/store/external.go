// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/semaphore"
)

// External says how to reach an etcd cluster.
type External struct {
	Endpoints []string // "https://host:2379" of each member
	// CAFile names a PEM file with the authorities that vouch for the members;
	// empty means those of the system.
	CAFile string
	// CertFile and KeyFile are what this process proves itself with; both are
	// empty when the cluster does not ask. They are read anew for each connection,
	// so that a renewed certificate needs no restart.
	CertFile, KeyFile string
}

// A member that answers nothing is left after aliveInterval + aliveTimeout.
const (
	dialTimeout   = 5 * time.Second
	aliveInterval = 5 * time.Second
	aliveTimeout  = 3 * time.Second
)

func openExternal(ctx context.Context, o Options) (*Store, error) {
	tlsConfig, err := o.External.tls()
	if err != nil {
		return nil, err
	}
	core := newQuietCore(o.Log)
	client, err := clientv3.New(clientv3.Config{
		Endpoints: o.External.Endpoints, TLS: tlsConfig, Logger: core.logger(),
		DialTimeout: dialTimeout, DialKeepAliveTime: aliveInterval, DialKeepAliveTimeout: aliveTimeout, PermitWithoutStream: true,
	})
	if err != nil {
		return nil, err
	}
	l, err := acquire(ctx, client, o.Name, o.Log)
	if err != nil {
		core.silence()
		return nil, errors.Join(err, client.Close())
	}
	return &Store{client: client, lease: l, failed: l.lost, stop: core.silence, turns: semaphore.NewWeighted(everybody)}, nil
}

func (e External) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CAFile != "" {
		pem, err := os.ReadFile(e.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the authorities of etcd: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", e.CAFile)
		}
	}
	if e.CertFile == "" {
		return c, nil
	}
	// A file that is wrong is told now, and not at some handshake.
	load := func() (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the certificate for etcd: %w", err)
		}
		return &cert, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return c, nil
}
