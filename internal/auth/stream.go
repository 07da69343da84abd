// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"slices"
)

// bodyHashHeader tells the SHA-256 of the body in hexadecimal digits. S3's
// clients always send it ("Signature Calculations for the Authorization Header").
const bodyHashHeader = "X-Amz-Content-Sha256"

// VerifyStream is Verify for a body that is too large for the memory: the caller
// is proved by the hash that the request names for its body, before any of that
// is read. What body delivers must not be acted on until it has returned io.EOF.
// Until then it returns an *Error once it delivers more than limit bytes, or
// when it ends and was not what the caller has signed.
func (v *Verifier) VerifyStream(r *http.Request, limit int64) (proof Proof, body io.Reader, err error) {
	a, signed, err := v.claim(r)
	if err != nil {
		return Proof{}, nil, err
	}
	named := r.Header.Values(bodyHashHeader)
	if len(named) != 1 || !signatureForm.MatchString(named[0]) || !slices.Contains(a.signedHeaders, "x-amz-content-sha256") {
		return Proof{}, nil, &Error{Incomplete, "the request must have one " + bodyHashHeader + " header, signed, with the SHA-256 of the body in hexadecimal digits", a.accessKey}
	}
	if r.ContentLength > limit {
		return Proof{}, nil, tooLarge(limit)
	}
	if v.limits.failuresOf(r.RemoteAddr).TokensAt(v.now()) < 1 {
		return Proof{}, nil, exceeded(a.accessKey)
	}
	if proof, err = v.prove(r, a, signed, named[0]); err != nil {
		return Proof{}, nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return proof, &signedBody{body: r.Body, hash: sha256.New(), want: named[0], left: limit, limit: limit}, nil
}

func tooLarge(limit int64) *Error {
	return &Error{Code: TooLarge, Message: fmt.Sprintf("the request body is over %d bytes", limit)}
}

// signedBody is a body whose hash is compared at its end.
type signedBody struct {
	body        io.Reader
	hash        hash.Hash
	want        string
	left, limit int64
}

// Read implements io.Reader.
func (b *signedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.hash.Write(p[:n])
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, &Error{Code: Timeout, Message: "the request body did not come in time"}
	case !errors.Is(err, io.EOF):
		return n, &Error{Code: Incomplete, Message: "the request body ended early"}
	case hex.EncodeToString(b.hash.Sum(nil)) != b.want:
		return n, &Error{Code: Failure, Message: "the request body is not the one that was signed"}
	}
	return n, io.EOF
}
