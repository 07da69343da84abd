// SPDX-License-Identifier: Apache-2.0

package sp_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee/internal/sp"
)

// sanPassword stands in no error.
const sanPassword = "geheim-;$(x)"

func passwordFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func calling(pairs ...string) context.Context {
	return metadata.NewIncomingContext(context.Background(), metadata.Pairs(pairs...))
}

func TestOnlyWhoKnowsUserAndPasswordMayCall(t *testing.T) {
	const user, password = "x-mallee-san-user", "x-mallee-san-password-bin"
	l, err := sp.NewLogin("mallee", passwordFile(t, sanPassword+"\n", 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		ctx  context.Context
		want codes.Code
	}{
		"both right":     {calling(user, "mallee", password, sanPassword), codes.OK},
		"no metadata":    {context.Background(), codes.Unauthenticated},
		"neither":        {calling(), codes.Unauthenticated},
		"user alone":     {calling(user, "mallee"), codes.Unauthenticated},
		"password alone": {calling(password, sanPassword), codes.Unauthenticated},
		"other user":     {calling(user, "root", password, sanPassword), codes.Unauthenticated},
		"other password": {calling(user, "mallee", password, "wrong"), codes.Unauthenticated},
		"empty password": {calling(user, "mallee", password, ""), codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			err := l.Admit(tt.ctx)
			if status.Code(err) != tt.want {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err == nil {
				return
			}
			for _, want := range []string{"storage.sanuser", "storage.sanpassword"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %s", err, want)
				}
			}
			if strings.Contains(err.Error(), sanPassword) || strings.Contains(err.Error(), "wrong") {
				t.Errorf("%q tells a password", err)
			}
		})
	}
	if text := fmt.Sprintf("%v %+v %#v", l, l, l); strings.Contains(text, "geheim") {
		t.Errorf("it prints as %s", text)
	}
}

func TestWithoutALoginAnythingThatIsSentIsIgnored(t *testing.T) {
	l, err := sp.NewLogin("", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{context.Background(), calling("x-mallee-san-user", "somebody")} {
		if err := l.Admit(ctx); err != nil {
			t.Error(err)
		}
	}
}

func TestThePasswordFileIsPrivateAndHasOneLine(t *testing.T) {
	for name, file := range map[string]string{
		"others may read it": passwordFile(t, sanPassword, 0o644),
		"the group may":      passwordFile(t, sanPassword, 0o640),
		"empty":              passwordFile(t, "\n", 0o600),
		"two lines":          passwordFile(t, sanPassword+"\nmore\n", 0o600),
		"carriage return":    passwordFile(t, sanPassword+"\r\n", 0o600),
		"blanks":             passwordFile(t, sanPassword+" x\n", 0o600),
		"not there":          filepath.Join(t.TempDir(), "none"),
		"not given":          "",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := sp.NewLogin("mallee", file); err == nil || strings.Contains(err.Error(), sanPassword) {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := sp.NewLogin("", passwordFile(t, sanPassword, 0o600)); err == nil {
		t.Error("a password without a user was accepted")
	}
}
