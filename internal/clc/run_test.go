// SPDX-License-Identifier: Apache-2.0

package clc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mallee-io/mallee/client"
	"github.com/mallee-io/mallee/internal/clc"
)

// start runs a controller in dir and returns what its admin.env says, once it
// is there.
func start(t *testing.T, dir string) (env map[string]string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	up := make(chan struct{})
	go func() {
		stopped <- clc.Run(ctx, clc.Options{
			StateDir: dir, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Names: []string{"127.0.0.1", "localhost"},
			Log: slog.New(&signalHandler{up: up}), UnsafeNoFsync: true,
		})
	}()
	stop = func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	select {
	case <-up:
	case err := <-stopped:
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("the controller did not come up")
	}
	text, err := os.ReadFile(filepath.Join(dir, "admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	env = map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok || !strings.HasPrefix(line, "export ") {
			t.Errorf("line %q is no export", line)
		}
		env[name] = value
	}
	return env, stop
}

// signalHandler closes up when the controller says that it is up.
type signalHandler struct {
	slog.Handler
	up chan struct{}
}

func (h *signalHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *signalHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "cloud controller is up" {
		close(h.up)
	}
	return nil
}

func (h *signalHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *signalHandler) WithGroup(string) slog.Handler      { return h }

func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(),
		// Idle connections of the clients that the test itself has made.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
	dir, err := os.MkdirTemp("", "clc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	env, stop := start(t, dir)
	if info, err := os.Stat(filepath.Join(dir, "admin.env")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin.env has mode %v, %v", info.Mode(), err)
	}
	if len(env["AWS_ACCESS_KEY_ID"]) != 20 || len(env["AWS_SECRET_ACCESS_KEY"]) != 40 || env["AWS_DEFAULT_REGION"] != "mallee" ||
		env["EUCA_PROPERTIES_URL"] != env["MALLEE_ENDPOINT"]+"/services/Properties" {
		t.Errorf("admin.env says %v", env)
	}
	connect := func(secret string) *client.Client {
		t.Helper()
		c, err := client.New(client.Config{
			Endpoint: env["MALLEE_ENDPOINT"], AccessKey: env["AWS_ACCESS_KEY_ID"], SecretKey: secret,
			Region: env["AWS_DEFAULT_REGION"], CAFile: env["AWS_CA_BUNDLE"],
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if list, err := connect(env["AWS_SECRET_ACCESS_KEY"]).Volumes(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("volumes: %v, %v", list, err)
	}
	if list, err := connect(env["AWS_SECRET_ACCESS_KEY"]).Properties(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("properties: %v, %v", list, err)
	}
	if _, err := connect("another").Volumes(t.Context()); err == nil || !strings.Contains(err.Error(), "AuthFailure") {
		t.Errorf("another secret gets %v", err)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/metrics": `mallee_clc_volumes{state="available"} 0`} {
		if body := get(t, env, path); !strings.Contains(body, want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
	for _, want := range []string{"\netcd_server_has_leader 1\n", "\nmallee_clc_store_quota_bytes 2.147483648e+09\n", "\nmallee_clc_store_disk_free_bytes ", "\nmallee_certificate_end_timestamp_seconds 1."} {
		if body := get(t, env, "/metrics"); !strings.Contains(body, want) {
			t.Errorf("/metrics does not tell %q", want)
		}
	}
	stop()

	// The listener has another port each time, so that the endpoint differs.
	for name, change := range map[string]func(path string) error{
		"the file is gone":         os.Remove,
		"the endpoint has changed": func(string) error { return nil },
		"the file has an old key": func(path string) error {
			return os.WriteFile(path, []byte("export AWS_ACCESS_KEY_ID=AKMLOLD\n"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := change(filepath.Join(dir, "admin.env")); err != nil {
				t.Fatal(err)
			}
			before := env
			env, stop = start(t, dir)
			defer stop()
			if env["AWS_ACCESS_KEY_ID"] != before["AWS_ACCESS_KEY_ID"] || env["AWS_SECRET_ACCESS_KEY"] != before["AWS_SECRET_ACCESS_KEY"] {
				t.Errorf("after a restart the access key is %s and was %s", env["AWS_ACCESS_KEY_ID"], before["AWS_ACCESS_KEY_ID"])
			}
			if body := get(t, env, "/healthz"); body != "ok\n" {
				t.Errorf("at the endpoint of admin.env /healthz says %q", body)
			}
		})
	}
}

func get(t *testing.T, env map[string]string, path string) string {
	t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(env["AWS_CA_BUNDLE"])
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no CA", err)
	}
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env["MALLEE_ENDPOINT"]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
