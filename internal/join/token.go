// SPDX-License-Identifier: Apache-2.0

// Package join makes a machine a part of the cloud, and keeps it one.
//
// A join token is one word that an admin takes from the cloud controller to the
// machine. It says which part the machine becomes, bears the secret that lets
// it, once, and a pin: a hash of the CA's public key, by which the machine knows
// the cloud controller although it has no certificate yet. A joining is one such
// act; its id is the token's. A machine makes its key itself and sends a request
// to certify it. A renewal does so again, with a new key, over gRPC and with the
// certificate that is about to end.
package join

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/rpc"
)

// Token is a join token. Role, name and partition in it are for the machine to
// see whether it is the right one; the cloud controller goes by its own records.
type Token struct {
	Role      mallee.Role
	Name      string
	Partition string
	ID        string // of the joining; no secret
	Secret    string // 130 random bits
	Pin       string // Pin of the CA's certificate
}

var (
	tokenName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)
	tokenID   = regexp.MustCompile(`^[a-z2-7]{16}$`)
	secret    = regexp.MustCompile(`^[a-z2-7]{26}$`)
	pinForm   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// errNoToken does not quote what was given: it may be a token but for one character.
var errNoToken = errors.New("this is no join token: write what mallee token create has printed, ROLE:NAME:PARTITION:ID:SECRET:PIN")

// NewToken returns a token with an id and a secret that no other has.
func NewToken(role mallee.Role, name, partition string, ca *x509.Certificate) Token {
	return Token{
		Role: role, Name: name, Partition: partition,
		ID: strings.ToLower(rand.Text())[:16], Secret: strings.ToLower(rand.Text()), Pin: Pin(ca),
	}
}

// ParseToken reads what Text has written.
func ParseToken(text string) (Token, error) {
	fields := strings.Split(strings.TrimSpace(text), ":")
	if len(fields) != 6 {
		return Token{}, errNoToken
	}
	t := Token{mallee.Role(fields[0]), fields[1], fields[2], fields[3], fields[4], fields[5]}
	if !rpc.Joins(t.Role) || !tokenName.MatchString(t.Name) || !mallee.ValidPartition(t.Partition) ||
		!tokenID.MatchString(t.ID) || !secret.MatchString(t.Secret) || !pinForm.MatchString(t.Pin) {
		return Token{}, errNoToken
	}
	return t, nil
}

// ValidID reports whether id has the form of a token's.
func ValidID(id string) bool { return tokenID.MatchString(id) }

// Text returns the token as one word without a character that is special to a shell.
func (t Token) Text() string {
	return strings.Join([]string{string(t.Role), t.Name, t.Partition, t.ID, t.Secret, t.Pin}, ":")
}

// String leaves the secret out: a token must not reach a log by %v.
func (t Token) String() string { return "join token " + t.ID }

// GoString keeps the secret from %#v too.
func (t Token) GoString() string { return t.String() }

// HashSecret returns what the cloud controller keeps of a secret. It needs no
// salt and no slow hash: 130 random bits are not guessed.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// SecretIs reports whether hash is HashSecret of a secret, in a time that does
// not tell how much of it is right.
func SecretIs(secret, hash string) bool {
	return subtle.ConstantTimeCompare([]byte(HashSecret(secret)), []byte(hash)) == 1
}

// Pin returns the SHA-256 of a certificate's public key (its SubjectPublicKeyInfo,
// RFC 5280 §4.1.2.7), hexadecimal.
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
