// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/query"
	"github.com/mallee-io/mallee/internal/rpc"
)

// pipes is a listener whose connections are in memory, so that time can be
// synctest's.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// slowCert is of a server of pipes. Keys are not made in a synctest bubble.
func slowCert(t *testing.T) *tls.Certificate {
	t.Helper()
	authority, err := ca.OpenOrCreate(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	cert, key, root, err := authority.Issue(ca.IssueOptions{Role: rpc.CLC, Name: "clc"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := rpc.ParseBundle(root, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return b.Certificate()
}

// A caller who sends a byte now and then is cut off, however far it has come.
func TestSlowCallersAreCutOff(t *testing.T) {
	cert := slowCert(t)
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	for name, c := range map[string]struct {
		plain  bool   // does not even begin with TLS
		proto  string // "h2" or "http/1.1"
		text   func(*http.Request) string
		within time.Duration
		code   string // what it is told, if anything
	}{
		"silent before TLS": {plain: true, within: 10 * time.Second},
		"silent after TLS":  {within: 10 * time.Second},
		"slow headers": {
			text:   func(*http.Request) string { return "GET / HTTP/1.1\r\nHost: x\r\nX: " },
			within: 10 * time.Second,
		},
		"slow body": {
			text: func(r *http.Request) string {
				return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nAuthorization: " + r.Header.Get("Authorization") + "\r\nX-Amz-Date: " + r.Header.Get("X-Amz-Date") + "\r\n\r\n"
			},
			within: 30 * time.Second, code: "RequestTimeout",
		},
		"slow chunks": {
			text: func(r *http.Request) string {
				return "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nAuthorization: " + r.Header.Get("Authorization") + "\r\nX-Amz-Date: " + r.Header.Get("X-Amz-Date") + "\r\n\r\nfff\r\n"
			},
			within: 30 * time.Second, code: "RequestTimeout",
		},
		"silent after a call": {
			text:   func(*http.Request) string { return "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" },
			within: time.Minute, code: "MissingAuthenticationToken",
		},
		"silent in HTTP/2": {
			proto: "h2",
			text: func(*http.Request) string {
				return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
			},
			within: 62 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := query.NewHandler(query.Options{
					API: "test", CheckVersion: func(string) error { return nil }, Fault: func(*mallee.Error) *query.Fault { return nil },
					Root:     func(string, string) xml.StartElement { return xml.StartElement{} },
					Verifier: &auth.Verifier{Services: []string{"ec2"}, Secret: func(context.Context, string) (string, error) { return secret, nil }},
					Log:      slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
				})
				p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				server := newServer(h, func() *tls.Certificate { return cert }, slog.New(slog.DiscardHandler))
				go func() { _ = server.ServeTLS(p, "", "") }()
				defer func() { close(p.done); server.Close() }()

				start := time.Now()
				conn := p.dial()
				if !c.plain {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{cmp.Or(c.proto, "http/1.1")}})
				}
				var writer sync.WaitGroup
				defer func() { conn.Close(); writer.Wait() }()
				writer.Go(func() {
					f := &front{addr: "x", keys: aws.Credentials{AccessKeyID: "AKML", SecretAccessKey: secret}}
					if c.text != nil {
						conn.Write([]byte(c.text(f.request(t, "/", ""))))
					}
					if !strings.HasPrefix(name, "slow") {
						return
					}
					for { // until the connection is closed
						if _, err := conn.Write([]byte("x")); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				})
				if !c.plain && c.text == nil {
					if err := conn.(*tls.Conn).Handshake(); err != nil {
						t.Fatal(err)
					}
				}
				said, err := io.ReadAll(bufio.NewReader(conn))
				if took := time.Since(start); took > c.within+time.Second {
					t.Errorf("it was cut off after %v, want %v", took, c.within)
				}
				if errors.Is(err, context.DeadlineExceeded) || !strings.Contains(string(said), c.code) {
					t.Errorf("it was told %q, %v, want %q", said, err, c.code)
				}
			})
		})
	}
}
