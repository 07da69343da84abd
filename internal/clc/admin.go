// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/store"
)

// adminFile is what the admin sources to use the APIs, in the state directory.
const adminFile = "admin.env"

// secret returns the secret of an access key, as auth.Verifier wants it.
func (c *Controller) secret(ctx context.Context, accessKey string) (string, error) {
	if accessKey != "" && !strings.Contains(accessKey, "/") {
		r, found, err := keys.Find(ctx, c.store, accessKey)
		if err != nil || found {
			return r.Secret, err
		}
	}
	return "", refuse("use access key", mallee.NotFound, accessKey, "there is no such key")
}

// ensureAdmin makes the admin's access key, unless there is one, and writes it
// to admin.env in stateDir, unless that file says just so. The records come
// first: a file from before a restore, or from before the address was changed,
// would have the admin try keys and endpoints that are none.
func (c *Controller) ensureAdmin(ctx context.Context, stateDir, endpoint string) error {
	path := filepath.Join(stateDir, adminFile)
	accessKey, secret, err := c.adminKey(ctx)
	if err != nil {
		return fmt.Errorf("cannot make the admin's access key: %w", err)
	}
	var text strings.Builder
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", accessKey},
		{"AWS_SECRET_ACCESS_KEY", secret},
		{"AWS_DEFAULT_REGION", "mallee"},
		{"AWS_CA_BUNDLE", filepath.Join(stateDir, "ca", ca.CertFile)},
		{"MALLEE_ENDPOINT", endpoint},
		{"EUCA_PROPERTIES_URL", endpoint + "/services/Properties"},
	} {
		fmt.Fprintf(&text, "export %s=%s\n", v[0], quote(v[1]))
	}
	if have, err := os.ReadFile(path); err == nil && string(have) == text.String() {
		return nil
	}
	if err := renameio.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("cannot write the admin's access key: %w", err)
	}
	c.log.InfoContext(ctx, "the admin's access key is written", "path", path)
	return nil
}

// adminKey returns the access key that is stored, and stores a new one if there
// is none.
func (c *Controller) adminKey(ctx context.Context) (accessKey, secret string, err error) {
	snap, err := c.store.Snapshot(ctx)
	if err != nil {
		return "", "", err
	}
	have, err := keys.All(snap)
	if err != nil {
		return "", "", err
	}
	if ids := slices.Sorted(maps.Keys(have)); len(ids) > 0 {
		return ids[0], have[ids[0]].Secret, nil
	}
	accessKey, secret = newAccessKey()
	return accessKey, secret, c.store.Update(ctx, func(tx *store.Tx) error {
		return keys.Put(tx, accessKey, keyRecord{Secret: secret})
	})
}

// newAccessKey returns a key of the lengths that AWS' have, 20 and 40
// characters, with a prefix that AWS does not use, so that neither is taken for
// the other.
func newAccessKey() (accessKey, secret string) {
	random := make([]byte, 30)
	rand.Read(random)
	return "AKML" + rand.Text()[:16], base64.RawURLEncoding.EncodeToString(random)
}

// quote makes a shell word of a value. The state directory may have a blank.
func quote(value string) string {
	safe := func(r rune) bool {
		return strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:[]", r)
	}
	if strings.IndexFunc(value, func(r rune) bool { return !safe(r) }) < 0 {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// endpoint returns the URL of the API at a host name or address and the port of
// the listener.
func endpoint(name string, listener net.Addr) string {
	_, port, err := net.SplitHostPort(listener.String())
	if err != nil {
		port = "8773"
	}
	return "https://" + net.JoinHostPort(name, port)
}
