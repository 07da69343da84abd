// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// front is the HTTPS front of a controller, with what callers need.
type front struct {
	*cluster
	addr string
	keys aws.Credentials
	http *http.Client // of HTTP/2
}

func newFront(t *testing.T, o Options) *front {
	t.Helper()
	c := newCluster(t)
	id, secret, err := c.adminKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.serveAPI(ctx, listener, c.own, o) }()
	transport := &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &front{
		cluster: c, addr: listener.Addr().String(), keys: aws.Credentials{AccessKeyID: id, SecretAccessKey: secret},
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// insecure returns a configuration for tests that are not about certificates.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// sign signs a request with a form as its body, at a time.
func (f *front) sign(t *testing.T, r *http.Request, form string, at time.Time) *http.Request {
	t.Helper()
	sum := sha256.Sum256([]byte(form))
	if err := v4.NewSigner().SignHTTP(t.Context(), f.keys, r, hex.EncodeToString(sum[:]), "ec2", "mallee", at); err != nil {
		t.Fatal(err)
	}
	return r
}

// request returns a signed POST of a form, to a path.
func (f *front) request(t *testing.T, path, form string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+f.addr+path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	return f.sign(t, r, form, time.Now())
}

// dial opens a connection of HTTP/1.1 to write to by hand.
func (f *front) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", f.addr, insecure())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered checks what every answer has, and returns its code, "" without a fault.
func answered(t *testing.T, answer *http.Response) (code string) {
	t.Helper()
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	id := answer.Header.Get("X-Amzn-Requestid")
	if id == "" {
		t.Errorf("an answer with status %d has no request id", answer.StatusCode)
	}
	if answer.Request != nil && answer.Request.Method == http.MethodHead {
		return ""
	}
	var failure struct {
		Code      string `xml:"Errors>Error>Code"`
		RequestID string `xml:"RequestID"`
	}
	if err := xml.Unmarshal(body, &failure); err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	if failure.Code != "" && failure.RequestID != id {
		t.Errorf("the body has request id %q and the header %q", failure.RequestID, id)
	}
	return failure.Code
}

const describe = "Action=DescribeVolumes&Version=2016-11-15"

func TestPathsAndMethods(t *testing.T) {
	f := newFront(t, Options{})
	signed := f.request(t, "/", describe).Header
	for _, c := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"GET", "/nowhere", 404, "NotFound"},
		{"POST", "/services", 404, "NotFound"},
		{"GET", "/services/compute/../..", 404, "NotFound"},
		{"GET", "/services/compute/%2e%2e/%2E%2E/", 404, "NotFound"},
		{"GET", "/services%2fcompute", 404, "NotFound"},
		{"GET", "//", 404, "NotFound"},
		{"GET", "//services//compute", 404, "NotFound"},
		{"GET", "/./services/compute", 404, "NotFound"},
		{"GET", "/../../etc/passwd", 404, "NotFound"},
		{"GET", "/%00", 404, "NotFound"},
		{"GET", "/<x>]]>&", 404, "NotFound"},
		{"POST", "/healthz", 404, "NotFound"},
		{"DELETE", "/metrics", 404, "NotFound"},
		{"HEAD", "/", 405, ""},
		{"PUT", "/", 405, "MethodNotAllowed"},
		{"TRACE", "/services/Properties", 405, "MethodNotAllowed"},
		{"GET", "/services/compute/", 403, "MissingAuthenticationToken"},
		{"GET", "/?Action=DescribeVolumes&X-Amz-Signature=00", 400, "UnsupportedOperation"},
		{"GET", "/?Action=DescribeVolumes&AWSAccessKeyId=x&Signature=x", 400, "UnsupportedOperation"},
	} {
		for protocol, send := range map[string]func() *http.Response{
			"HTTP/1.1": func() *http.Response { return f.raw(t, c.method, c.target, "Host: "+f.addr) },
			"HTTP/2": func() *http.Response {
				r, err := http.NewRequestWithContext(t.Context(), c.method, "https://"+f.addr+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.URL.Opaque = c.target
				answer, err := f.http.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				if answer.ProtoMajor != 2 {
					t.Fatalf("this is %s", answer.Proto)
				}
				return answer
			},
		} {
			if protocol == "HTTP/2" && strings.HasPrefix(c.target, "//") {
				continue // Go's client would take it for a host
			}
			t.Run(protocol+" "+c.method+" "+c.target, func(t *testing.T) {
				answer := send()
				if code := answered(t, answer); answer.StatusCode != c.status || code != c.code {
					t.Errorf("got %d %s, want %d %s", answer.StatusCode, code, c.status, c.code)
				}
				if allow := answer.Header.Get("Allow"); (c.status == 405) != (allow == "GET, POST") {
					t.Errorf("status %d with Allow: %s", answer.StatusCode, allow)
				}
			})
		}
	}
	for name, c := range map[string]struct {
		headers []string
		status  int
		code    string
	}{
		"plain":                    {nil, 200, ""},
		"Authorization twice":      {[]string{"Authorization: x"}, 400, "IncompleteSignature"},
		"date twice":               {[]string{"X-Amz-Date: 20261122T120000Z"}, 400, "IncompleteSignature"},
		"a body of another kind":   {[]string{"Content-Encoding: gzip"}, 200, ""}, // not read as such, and not signed
		"another host in a header": {[]string{"X-Forwarded-Host: x", "X-HTTP-Method-Override: PUT", "X-Original-URL: /metrics"}, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{
				"Host: " + f.addr, "Authorization: " + signed.Get("Authorization"), "X-Amz-Date: " + signed.Get("X-Amz-Date"),
				fmt.Sprintf("Content-Length: %d", len(describe)),
			}
			answer := f.raw(t, "POST", "/", append(headers, c.headers...)...)
			if code := answered(t, answer); answer.StatusCode != c.status || code != c.code {
				t.Errorf("got %d %s, want %d %s", answer.StatusCode, code, c.status, c.code)
			}
		})
	}
	// net/http itself does not take these for requests, and closes the connection.
	for name, header := range map[string]string{
		"two hosts": "Host: other", "two lengths": "Content-Length: 1\r\nContent-Length: 2", "a blank before the colon": "X-Amz-Date : x",
		"a folded first line": " folded", "large headers": "X: " + strings.Repeat("x", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			answer := f.raw(t, "GET", "/", header, "Host: "+f.addr)
			answer.Body.Close()
			if answer.StatusCode < 400 || answer.StatusCode > 499 || !answer.Close {
				t.Errorf("got %d", answer.StatusCode)
			}
		})
	}
}

// raw sends a request to the letter, with the form of describe as its body if a
// header tells of one.
func (f *front) raw(t *testing.T, method, target string, headers ...string) *http.Response {
	t.Helper()
	conn := f.dial(t)
	text := method + " " + target + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	if strings.Contains(text, "Content-Length: ") {
		text += describe
	}
	go conn.Write([]byte(text))
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
