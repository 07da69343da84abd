// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/client"
	"github.com/mallee-io/mallee/internal/store"
)

// cloudUnderTest is a running controller.
type cloudUnderTest struct {
	t   *testing.T
	dir string
	ups chan struct{} // a token for each time that the controller is up
}

// runCloud runs a controller with what prepare puts into its store.
func runCloud(t *testing.T, prepare func(*store.Store, string)) *cloudUnderTest {
	t.Helper()
	c := &cloudUnderTest{t: t, dir: shortDir(t), ups: make(chan struct{}, 10)}
	s := openStore(t, c.dir)
	prepare(s, c.dir)
	s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	o := quietOptions(c.dir)
	o.Log = slog.New(upHandler{slog.DiscardHandler, c.ups})
	go func() { ended <- Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	c.awaitUp()
	return c
}

func (c *cloudUnderTest) awaitUp() {
	c.t.Helper()
	select {
	case <-c.ups:
	case <-time.After(patience):
		c.t.Fatal("the controller did not come up")
	}
}

type upHandler struct {
	slog.Handler
	ups chan struct{}
}

func (upHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h upHandler) WithAttrs([]slog.Attr) slog.Handler     { return h }

func (h upHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "cloud controller is up" {
		h.ups <- struct{}{}
	}
	return nil
}

// env returns what admin.env says.
func (c *cloudUnderTest) env() map[string]string {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, adminFile))
	if err != nil {
		c.t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "export ")), "=")
		env[name] = strings.Trim(value, "'")
	}
	return env
}

func (c *cloudUnderTest) client() *client.Client {
	return c.clientWith(c.env()["AWS_SECRET_ACCESS_KEY"])
}

func (c *cloudUnderTest) clientWith(secret string) *client.Client {
	c.t.Helper()
	env := c.env()
	cl, err := client.New(client.Config{
		Endpoint: env["MALLEE_ENDPOINT"], AccessKey: env["AWS_ACCESS_KEY_ID"], SecretKey: secret, CAFile: env["AWS_CA_BUNDLE"],
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

func TestABackupIsRestoredOverTheAPI(t *testing.T) {
	full := func(s *store.Store, dir string) { seed(t, s, newAuthority(t, dir)) }
	old := runCloud(t, full)
	var backup bytes.Buffer
	if err := old.client().Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}

	other := runCloud(t, func(*store.Store, string) {})
	got, err := other.client().Restore(t.Context(), bytes.NewReader(backup.Bytes()), false)
	if err != nil || got.Volumes != 3 || got.Attachments != 2 || got.Nodes != 1 || got.Created.IsZero() {
		t.Fatalf("the restore answers %+v, %v", got, err)
	}
	other.awaitUp()
	if other.env()["AWS_ACCESS_KEY_ID"] != old.env()["AWS_ACCESS_KEY_ID"] {
		t.Error("admin.env does not have the restored key")
	}
	list, err := other.client().Volumes(t.Context())
	if err != nil || len(list) != 3 {
		t.Errorf("the restored cloud has %v, %v", list, err)
	}
	if newAuthority(t, other.dir).Fingerprint() != newAuthority(t, old.dir).Fingerprint() {
		t.Error("the restored cloud has another CA")
	}

	// Now it holds something, and so must be told twice.
	_, err = other.client().Restore(t.Context(), bytes.NewReader(backup.Bytes()), false)
	if err == nil || !strings.Contains(err.Error(), "holds 3 volumes, 2 attachments, 1 nodes") {
		t.Errorf("a restore over a cloud in use: %v", err)
	}
	if _, err = other.client().Restore(t.Context(), bytes.NewReader(backup.Bytes()), true); err != nil {
		t.Errorf("a restore by force: %v", err)
	}
	other.awaitUp()

	t.Run("refused", func(t *testing.T) {
		for name, c := range map[string]struct {
			client *client.Client
			body   []byte
			want   string
		}{
			"half a backup": {other.client(), backup.Bytes()[:backup.Len()/2], "not whole"},
			"no backup":     {other.client(), []byte("hello"), "gzip"},
			"a stranger":    {other.clientWith("guess"), backup.Bytes(), "AuthFailure"},
		} {
			t.Run(name, func(t *testing.T) {
				if _, err := c.client.Restore(t.Context(), bytes.NewReader(c.body), true); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want an error with %s", err, c.want)
				}
			})
		}
		if err := other.clientWith("guess").Backup(t.Context(), &backup); err == nil || !strings.Contains(err.Error(), "AuthFailure") {
			t.Errorf("a stranger's backup: %v", err)
		}
		if list, err := other.client().Volumes(t.Context()); err != nil || len(list) != 3 {
			t.Errorf("after refused restores the cloud has %v, %v", list, err)
		}
		for _, name := range []string{pendingFile, "restore.upload"} {
			if _, err := os.Stat(filepath.Join(other.dir, name)); err == nil {
				t.Errorf("%s is left", name)
			}
		}
	})
}
