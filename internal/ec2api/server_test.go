// SPDX-License-Identifier: Apache-2.0

package ec2api_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/ec2api"
	"github.com/mallee-io/mallee/internal/telemetry"
)

const (
	accessKey = "AKIAEXAMPLEEXAMPLE00"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// server is the API over TLS, on a cloud in memory.
type server struct {
	*httptest.Server
	cloud    *memCloud
	registry *prometheus.Registry
	log      *logBuffer
}

// logBuffer is a bytes.Buffer that calls may write to while a test reads it.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T) server {
	t.Helper()
	s := server{cloud: newMemCloud(), registry: prometheus.NewRegistry(), log: &logBuffer{}}
	log, err := telemetry.NewLogger(s.log, telemetry.LogOptions{Role: "clc", Level: slog.LevelInfo})
	if err != nil {
		t.Fatal(err)
	}
	verifier := &auth.Verifier{
		Services: []string{"ec2"},
		Secret: func(_ context.Context, key string) (string, error) {
			if key == accessKey {
				return secretKey, nil
			}
			return "", failed("find", mallee.NotFound, key, "no such key")
		},
	}
	s.Server = httptest.NewTLSServer(ec2api.NewHandler(ec2api.Options{Volumes: s.cloud, Places: s.cloud, Tags: s.cloud, Parts: s.cloud, Verifier: verifier, Log: log, Registry: s.registry}))
	t.Cleanup(s.Close)
	return s
}

// sdk returns Amazon's own client.
func (s server) sdk() *ec2.Client {
	return ec2.New(ec2.Options{
		BaseEndpoint: aws.String(s.URL), Region: "mallee", HTTPClient: s.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		Retryer:     aws.NopRetryer{},
	})
}

// ours returns our own client.
func (s server) ours(t *testing.T) *client.Client {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Endpoint: s.URL, AccessKey: accessKey, SecretKey: secretKey, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// call is a POST below the level of the SDK, which would not send some of them.
type call struct {
	form string
	signature
}

// signature is whose request it is; what is empty is right.
type signature struct {
	key, secret, service string
	at                   time.Time
}

func (g signature) sign(t *testing.T, r *http.Request, body string) {
	t.Helper()
	if g.at.IsZero() {
		g.at = time.Now()
	}
	credentials := aws.Credentials{AccessKeyID: cmp.Or(g.key, accessKey), SecretAccessKey: cmp.Or(g.secret, secretKey)}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), cmp.Or(g.service, "ec2"), "mallee", g.at); err != nil {
		t.Fatal(err)
	}
}

// post sends a form, with the Version added, and returns status, headers and body of the answer.
func (s server) post(t *testing.T, c call) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/?Version=2016-11-15", strings.NewReader(c.form))
	if err != nil {
		t.Fatal(err)
	}
	c.sign(t, r, c.form)
	return s.send(t, r)
}

func (s server) send(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(body)
}
