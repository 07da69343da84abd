// SPDX-License-Identifier: Apache-2.0

// Package auth finds out who calls the APIs. Callers prove who they are by
// Signature Version 4, as AWS' clients do: an access key names the caller, and
// with its secret, which never travels, the request is signed.
//
// Nouns: the canonical request is the form in which both sides hash a request;
// the scope is what a signature is good for, a day, a region and a service.
// Signatures of version 4 are taken from the Authorization header only, not from
// the query string: a URL ends up in logs and histories.
//
// An API may let its callers sign with Signature Version 2 too, which the tools of
// the original know alone: see VerifyEither.
package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/mallee-io/mallee"
)

// What a Verifier uses where its fields are zero.
const (
	// DefaultMaxSkew is what EC2 allows, in either direction ("EC2 API Reference:
	// Error codes", RequestExpired).
	DefaultMaxSkew = 15 * time.Minute
	DefaultMaxBody = 1 << 20
)

// Verifier verifies signed requests. It is safe for concurrent use when Secret
// is. It bounds what callers who have proved nothing yet can take: memory, by the
// sizes and the number of bodies; time, by the failures of one source.
type Verifier struct {
	// Services lists the services that a scope may name: "ec2", "properties"
	// and so on. Any region is accepted, since clients must invent one.
	Services []string
	// Secret returns the secret of an access key. An error of kind
	// mallee.NotFound says that there is no such key; any other that this
	// cannot be told at the moment.
	Secret func(ctx context.Context, accessKey string) (string, error)
	// MaxSkew is how far the caller's clock may be off; 0 means DefaultMaxSkew.
	MaxSkew time.Duration
	// MaxBody is the largest body in bytes; 0 means DefaultMaxBody.
	MaxBody int64
	// Rate is how many calls a second an access key may make, after a burst of
	// Burst; 0 means any number.
	Rate  float64
	Burst int
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	limits limits
}

// Proof is what a verified request has proved.
type Proof struct {
	AccessKey string // whose request it is
	// Signature is of the whole request: two with the same one are the same
	// request, sent twice.
	Signature string
	Version   int       // of the signature: 4, or 2
	Expires   time.Time // when the request will no longer be accepted
}

// claimed is what a request says of itself, and its signature is to prove.
type claimed struct {
	version   int
	accessKey string
	signature string
	expires   time.Time
}

// Verify returns what r proves, and r's body, which it has read.
// A refusal is an *Error; any other error means that the request could not be
// judged, because Secret failed.
func (v *Verifier) Verify(r *http.Request) (proof Proof, body []byte, err error) {
	a, signed, err := v.claim(r)
	if err != nil {
		return Proof{}, nil, err
	}
	if v.limits.failuresOf(r.RemoteAddr).TokensAt(v.now()) < 1 {
		return Proof{}, nil, exceeded(a.accessKey)
	}
	if body, err = v.readBody(r); err != nil {
		return Proof{}, nil, err
	}
	sum := sha256.Sum256(body)
	if proof, err = v.prove(r, a, signed, hex.EncodeToString(sum[:])); err != nil {
		return Proof{}, nil, err
	}
	return proof, body, nil
}

// prove compares the signature that the caller claims with the right one for a
// body with this hash, and admits the caller.
func (v *Verifier) prove(r *http.Request, a authorization, signed time.Time, bodyHash string) (Proof, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Proof{}, &Error{Code: Incomplete, Message: "the query string is malformed"}
	}
	canonical, err := canonicalRequest(r, query, a.signedHeaders, bodyHash)
	if err != nil {
		return Proof{}, &Error{Code: Incomplete, Message: err.Error()}
	}
	c := claimed{version: 4, accessKey: a.accessKey, signature: a.signature, expires: signed.Add(v.maxSkew())}
	return v.compare(r, c, func(secret string) []string {
		return []string{sign(secret, a, r.Header.Get("X-Amz-Date"), canonical)}
	})
}

// compare compares the signature that the caller claims with those that are right
// with the caller's secret, and admits the caller.
func (v *Verifier) compare(r *http.Request, c claimed, right func(secret string) []string) (Proof, error) {
	secret, err := v.Secret(r.Context(), c.accessKey)
	if err != nil && mallee.KindOf(err) != mallee.NotFound {
		return Proof{}, fmt.Errorf("cannot look up access key %s: %w", c.accessKey, err)
	}
	known := err == nil && secret != ""
	// An unknown key takes the same steps, so that the time of the answer does
	// not tell it from a wrong signature.
	same := false
	for _, want := range right(secret) {
		same = hmac.Equal([]byte(want), []byte(c.signature)) || same
	}
	if !same || !known {
		v.limits.failuresOf(r.RemoteAddr).AllowN(v.now(), 1)
		return Proof{}, &Error{Failure, "AWS was not able to validate the provided access credentials", c.accessKey}
	}
	if err := v.admit(c.accessKey); err != nil {
		return Proof{}, err
	}
	return Proof{AccessKey: c.accessKey, Signature: c.signature, Version: c.version, Expires: c.expires}, nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

func (v *Verifier) maxSkew() time.Duration { return cmp.Or(v.MaxSkew, DefaultMaxSkew) }

// readBody reads at most one byte more than is allowed, so that a caller who
// has not proved anything yet cannot fill the memory. A body that is announced
// as too large is not begun: a caller who expects "100 Continue" sends none of it.
func (v *Verifier) readBody(r *http.Request) ([]byte, error) {
	limit := cmp.Or(v.MaxBody, DefaultMaxBody)
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if r.Body == nil {
		return nil, nil
	}
	body, more, err := v.limits.read(r.Body, limit)
	switch {
	case more:
		return nil, tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Error{Code: Timeout, Message: "the request body did not come in time"}
	case err == nil:
		return body, nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return nil, e
	}
	return nil, &Error{Code: Incomplete, Message: "the request body ended early"}
}
