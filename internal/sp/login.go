// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The metadata keys of api/sp/v1.
const (
	userKey     = "x-mallee-san-user"
	passwordKey = "x-mallee-san-password-bin" //nolint:gosec // the name of a key
)

// passwordForm is what the property storage.sanpassword can be.
var passwordForm = regexp.MustCompile(`^[!-~]{1,255}$`)

// Login is what storage controllers prove themselves with, beside their
// certificates. The zero Login asks for nothing.
type Login struct{ user, password string }

// NewLogin returns a Login whose password is the one line of a file, which nobody
// but its owner may read. Without a user and a file it is the zero Login.
func NewLogin(user, file string) (Login, error) {
	if user == "" && file == "" {
		return Login{}, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return Login{}, fmt.Errorf("cannot read the password of storage controllers: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Login{}, fmt.Errorf("cannot read the password of storage controllers: %s has mode %04o and can be read by others: chmod 0600 it", file, mode)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Login{}, fmt.Errorf("cannot read the password of storage controllers: %w", err)
	}
	password := strings.TrimSuffix(string(text), "\n")
	if user == "" || !passwordForm.MatchString(password) {
		return Login{}, errors.New("cannot read the password of storage controllers: there must be a user, and a file of one line with 1 to 255 printable ASCII characters without blanks")
	}
	return Login{user, password}, nil
}

// Admit returns nil if the caller of ctx may call, and the status for it if not.
// How long it takes tells nothing of the password.
func (l Login) Admit(ctx context.Context) error {
	if l == (Login{}) {
		return nil
	}
	user, password := metadata.ValueFromIncomingContext(ctx, userKey), metadata.ValueFromIncomingContext(ctx, passwordKey)
	if len(user) == 0 || len(password) == 0 {
		return status.Error(codes.Unauthenticated, "the storage processor asks for a user and a password: set storage.sanuser and storage.sanpassword of the partition")
	}
	if same(user[0], l.user)&same(password[0], l.password) != 1 {
		return status.Error(codes.Unauthenticated, "the storage processor does not know the user, or the password is another: set storage.sanuser and storage.sanpassword of the partition right")
	}
	return nil
}

// same compares digests, so that the length tells nothing either.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// String keeps user and password from %v, and so from logs.
func (l Login) String() string { return "login" }

// GoString keeps them from %#v too.
func (l Login) GoString() string { return "login" }
