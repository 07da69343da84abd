// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// claim checks all that can be checked without the secret and the body. It
// returns when the request was signed, by the caller's clock.
func (v *Verifier) claim(r *http.Request) (authorization, time.Time, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return authorization{}, time.Time{}, unsigned(r)
	}
	if len(header) > 1 {
		return authorization{}, time.Time{}, &Error{Code: Incomplete, Message: "the request has more than one Authorization header"}
	}
	a, err := parseAuthorization(header[0])
	if err != nil {
		return authorization{}, time.Time{}, &Error{Code: Incomplete, Message: err.Error()}
	}
	if !slices.Contains(v.Services, a.service) {
		return authorization{}, time.Time{}, &Error{Failure, fmt.Sprintf("the credential is scoped to service '%s', which is none of: %s", a.service, strings.Join(v.Services, ", ")), a.accessKey}
	}
	signed, err := v.checkDate(a, r.Header.Values("X-Amz-Date"))
	return a, signed, err
}

// unsigned returns the refusal of a request without an Authorization header. The
// other ways to sign have it in the query string.
func unsigned(r *http.Request) *Error {
	for _, name := range []string{"X-Amz-Signature=", "X-Amz-Algorithm=", "Signature="} {
		if strings.Contains(r.URL.RawQuery, name) {
			return &Error{Code: Unsupported, Message: "a signature in the URL is not supported: it would stay in logs and histories. Sign in the Authorization header with Signature Version 4"}
		}
	}
	return &Error{Code: Missing, Message: "the request has no Authorization header: sign it with Signature Version 4"}
}

func (v *Verifier) checkDate(a authorization, header []string) (time.Time, error) {
	if len(header) != 1 {
		return time.Time{}, &Error{Code: Incomplete, Message: "the request must have one X-Amz-Date header"}
	}
	date, err := time.Parse(timeFormat, header[0])
	if err != nil {
		return time.Time{}, &Error{Code: Incomplete, Message: "X-Amz-Date is not of the form YYYYMMDDTHHMMSSZ"}
	}
	if date.Format(dayFormat) != a.day {
		return time.Time{}, &Error{Code: Incomplete, Message: fmt.Sprintf("the credential is scoped to %s, but X-Amz-Date is %s", a.day, header[0])}
	}
	return date, v.checkSkew(date, header[0], a.accessKey)
}

// checkSkew refuses a request that was signed too long ago, or by a clock that is
// too far ahead.
func (v *Verifier) checkSkew(signed time.Time, written, accessKey string) error {
	if t, skew := v.now(), v.maxSkew(); signed.Before(t.Add(-skew)) || signed.After(t.Add(skew)) {
		return &Error{Expired, fmt.Sprintf("Request has expired. It was signed at %s and it is %s now: more than %v apart", written, t.UTC().Format(timeFormat), skew), accessKey}
	}
	return nil
}
