// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// Round trips through the real APIs are tested beside those.

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	noPEM := filepath.Join(dir, "no.pem")
	if err := os.WriteFile(noPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config client.Config
		names  string // what the error must contain; empty when there is none
	}{
		"least":         {client.Config{Endpoint: "https://clc:8773", AccessKey: "a", SecretKey: "s"}, ""},
		"with slash":    {client.Config{Endpoint: "https://clc:8773/", AccessKey: "a", SecretKey: "s"}, ""},
		"no scheme":     {client.Config{Endpoint: "clc:8773", AccessKey: "a", SecretKey: "s"}, "clc:8773"},
		"no endpoint":   {client.Config{AccessKey: "a", SecretKey: "s"}, "https://host:8773"},
		"no key":        {client.Config{Endpoint: "https://clc:8773", SecretKey: "s"}, "access key"},
		"no secret":     {client.Config{Endpoint: "https://clc:8773", AccessKey: "a"}, "secret key"},
		"no such file":  {client.Config{Endpoint: "https://clc:8773", AccessKey: "a", SecretKey: "s", CAFile: filepath.Join(dir, "none")}, "none"},
		"no PEM inside": {client.Config{Endpoint: "https://clc:8773", AccessKey: "a", SecretKey: "s", CAFile: noPEM}, noPEM},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.New(c.config)
			if c.names == "" && err != nil {
				t.Error(err)
			}
			if c.names != "" && (err == nil || !strings.Contains(err.Error(), c.names)) {
				t.Errorf("got %v, want an error that names %s", err, c.names)
			}
		})
	}
}

// answering returns a client of a server that answers everything alike.
func answering(t *testing.T, status int, body string) *client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://elsewhere.example.net/")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	c, err := client.New(client.Config{Endpoint: s.URL, AccessKey: "AKIA", SecretKey: "hush-hush"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRefusal(t *testing.T) {
	const body = `<?xml version="1.0"?><Response><Errors><Error><Code>VolumeInUse</Code><Message>it is attached</Message></Error></Errors><RequestID>r-1</RequestID></Response>`
	for name, c := range map[string]struct {
		status int
		body   string
		want   client.APIError
		text   string
	}{
		"caller's fault": {400, body, client.APIError{Status: 400, Code: "VolumeInUse", Message: "it is attached", RequestID: "r-1"}, "it is attached (VolumeInUse)"},
		"cloud's fault":  {500, body, client.APIError{Status: 500, Code: "VolumeInUse", Message: "it is attached", RequestID: "r-1"}, "it is attached (VolumeInUse), request r-1"},
		"another server": {404, "<html>", client.APIError{Status: 404}, "the endpoint answered 404 Not Found and does not seem to be the cloud's"},
		"a redirect":     {302, "", client.APIError{Status: 302}, "the endpoint answered 302 Found and does not seem to be the cloud's"},
	} {
		t.Run(name, func(t *testing.T) {
			err := answering(t, c.status, c.body).DeleteVolume(t.Context(), "vol-1a2b3c4d")
			got, ok := errors.AsType[*client.APIError](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			if d := cmp.Diff(c.want, *got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if got.Error() != c.text {
				t.Errorf("it reads %q, want %q", got, c.text)
			}
		})
	}
}

func TestAnswerThatIsNoXML(t *testing.T) {
	_, err := answering(t, 200, "hello").Volumes(t.Context())
	if _, refused := errors.AsType[*client.APIError](err); refused || err == nil || !strings.Contains(err.Error(), "DescribeVolumes") {
		t.Errorf("got %v, want an error that names the action", err)
	}
	if err != nil && strings.Contains(err.Error(), "hush-hush") {
		t.Error("the error tells the secret")
	}
}

// A cloud that takes the call and never answers does not hold its caller longer
// than the caller allows.
func TestDeadline(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	c, err := client.New(client.Config{Endpoint: s.URL, AccessKey: "a", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}
