// SPDX-License-Identifier: Apache-2.0

package join_test

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/join"
)

func newToken(name string) join.Token {
	return join.NewToken(mallee.RoleNC, name, "PARTI00", &x509.Certificate{RawSubjectPublicKeyInfo: []byte("a key")})
}

func TestTokenIsOneWordAndReadsBack(t *testing.T) {
	for _, name := range []string{"nc1", "NC.example_1-a", strings.Repeat("n", 63)} {
		want := newToken(name)
		got, err := join.ParseToken(want.Text() + "\n")
		if err != nil || got != want {
			t.Errorf("%s reads back as %+v, %v", name, got, err)
		}
		if strings.ContainsAny(want.Text(), " \t\n'\"\\$&|;<>()*?[]#~=%!{}`") {
			t.Errorf("%q is not one word to a shell", want.Text())
		}
	}
}

func TestTokensDiffer(t *testing.T) {
	a, b := newToken("nc1"), newToken("nc1")
	if a.ID == b.ID || a.Secret == b.Secret || a.Pin != b.Pin {
		t.Errorf("two tokens of one CA are %s and %s", a, b)
	}
	if !join.SecretIs(a.Secret, join.HashSecret(a.Secret)) || join.SecretIs(b.Secret, join.HashSecret(a.Secret)) || join.SecretIs("", "") {
		t.Error("the hash of one secret is the other's")
	}
}

func TestTokenIsNotPrinted(t *testing.T) {
	token := newToken("nc1")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, token); strings.Contains(text, token.Secret) {
			t.Errorf("%s prints the secret", verb)
		}
	}
	_, err := join.ParseToken(token.Text() + "x")
	if err == nil || strings.Contains(err.Error(), token.Secret) {
		t.Errorf("a token that is mistyped: %v", err)
	}
}

func FuzzParseToken(f *testing.F) {
	good := newToken("nc1").Text()
	for _, text := range []string{
		"", ":::::", good, good + ":", strings.ToUpper(good), strings.Replace(good, "nc:", "clc:", 1), strings.Replace(good, "nc1", "a/b", 1),
		strings.Replace(good, "PARTI00", "a.b", 1), good[:len(good)-1],
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := join.ParseToken(text)
		if err != nil {
			return
		}
		if token.Text() != strings.TrimSpace(text) {
			t.Errorf("%q reads back as %q", text, token.Text())
		}
		if !join.ValidID(token.ID) || strings.Contains(token.Name, "/") {
			t.Errorf("%q was accepted", text)
		}
	})
}
