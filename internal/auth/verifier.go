// SPDX-License-Identifier: Apache-2.0

// Package auth finds out who calls the APIs. Callers prove who they are by
// Signature Version 4, as AWS' clients do: an access key names the caller, and
// with its secret, which never travels, the request is signed.
//
// Nouns: the canonical request is the form in which both sides hash a request;
// the scope is what a signature is good for, a day, a region and a service.
// Signatures are taken from the Authorization header only, not from the query
// string: a URL ends up in logs and histories.
package auth

import (
	"context"
	"crypto/hmac"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
)

// What a Verifier uses where its fields are zero.
const (
	DefaultMaxSkew = 5 * time.Minute // what AWS allows EC2's callers
	DefaultMaxBody = 1 << 20
)

// Verifier verifies signed requests. It is safe for concurrent use when Secret is.
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
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verify returns the access key that signed r, and r's body, which it has read.
// A refusal is an *Error; any other error means that the request could not be
// judged, because Secret failed.
func (v *Verifier) Verify(r *http.Request) (accessKey string, body []byte, err error) {
	a, err := v.claim(r)
	if err != nil {
		return "", nil, err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", nil, &Error{Code: Incomplete, Message: "the query string is malformed"}
	}
	if body, err = v.readBody(r); err != nil {
		return "", nil, err
	}
	canonical, err := canonicalRequest(r, query, a.signedHeaders, body)
	if err != nil {
		return "", nil, &Error{Code: Incomplete, Message: err.Error()}
	}
	secret, err := v.Secret(r.Context(), a.accessKey)
	if err != nil && mallee.KindOf(err) != mallee.NotFound {
		return "", nil, fmt.Errorf("cannot look up access key %s: %w", a.accessKey, err)
	}
	known := err == nil && secret != ""
	// An unknown key takes the same steps, so that the time of the answer does
	// not tell it from a wrong signature.
	want := sign(secret, a, r.Header.Get("X-Amz-Date"), canonical)
	if !hmac.Equal([]byte(want), []byte(a.signature)) || !known {
		return "", nil, &Error{Failure, "AWS was not able to validate the provided access credentials", a.accessKey}
	}
	return a.accessKey, body, nil
}

// claim checks all that can be checked without the secret and the body.
func (v *Verifier) claim(r *http.Request) (authorization, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return authorization{}, &Error{Code: Missing, Message: "the request has no Authorization header: sign it with Signature Version 4"}
	}
	if len(header) > 1 {
		return authorization{}, &Error{Code: Incomplete, Message: "the request has more than one Authorization header"}
	}
	a, err := parseAuthorization(header[0])
	if err != nil {
		return authorization{}, &Error{Code: Incomplete, Message: err.Error()}
	}
	if !slices.Contains(v.Services, a.service) {
		return authorization{}, &Error{Failure, fmt.Sprintf("the credential is scoped to service '%s', which is none of: %s", a.service, strings.Join(v.Services, ", ")), a.accessKey}
	}
	return a, v.checkDate(a, r.Header.Values("X-Amz-Date"))
}

func (v *Verifier) checkDate(a authorization, header []string) error {
	if len(header) != 1 {
		return &Error{Code: Incomplete, Message: "the request must have one X-Amz-Date header"}
	}
	date, err := time.Parse(timeFormat, header[0])
	if err != nil {
		return &Error{Code: Incomplete, Message: "X-Amz-Date is not of the form YYYYMMDDTHHMMSSZ"}
	}
	if date.Format(dayFormat) != a.day {
		return &Error{Code: Incomplete, Message: fmt.Sprintf("the credential is scoped to %s, but X-Amz-Date is %s", a.day, header[0])}
	}
	now, skew := time.Now, v.MaxSkew
	if v.Now != nil {
		now = v.Now
	}
	if skew == 0 {
		skew = DefaultMaxSkew
	}
	if t := now(); date.Before(t.Add(-skew)) || date.After(t.Add(skew)) {
		return &Error{Expired, fmt.Sprintf("the request was signed at %s and it is %s now: more than %v apart", header[0], t.UTC().Format(timeFormat), skew), a.accessKey}
	}
	return nil
}

// readBody reads at most one byte more than is allowed, so that a caller who
// has not proved anything yet cannot fill the memory.
func (v *Verifier) readBody(r *http.Request) ([]byte, error) {
	limit := v.MaxBody
	if limit == 0 {
		limit = DefaultMaxBody
	}
	tooLarge := &Error{Code: TooLarge, Message: fmt.Sprintf("the request body is over %d bytes", limit)}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, &Error{Code: Incomplete, Message: "the request body ended early"}
	}
	if int64(len(body)) > limit {
		return nil, tooLarge
	}
	return body, nil
}
