// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Signature Version 2 stands in the parameters of a request ("AWS General
// Reference: Signature Version 2 signing process"). It signs the method, the host,
// the path and all parameters, but no header.
const (
	keyParameter       = "AWSAccessKeyId"
	signatureParameter = "Signature"
	methodParameter    = "SignatureMethod"
	versionParameter   = "SignatureVersion"
	dateParameter      = "Timestamp"
	expiryParameter    = "Expires"

	method2 = "HmacSHA256" // the other one, HmacSHA1, is refused
	// timeFormat2 is without the Z that may follow. Parsing takes fractions too.
	timeFormat2 = "2006-01-02T15:04:05"
	// maxParameters2 bounds what is made of a body before it is known whose it is.
	maxParameters2 = 2000
)

var signature2Form = regexp.MustCompile(`^[A-Za-z0-9+/]{43}=$`)

// Version2Parameters returns the names of the parameters that belong to a
// signature of version 2 and not to the action.
func Version2Parameters() []string {
	return []string{keyParameter, signatureParameter, methodParameter, versionParameter, dateParameter, expiryParameter}
}

// VerifyEither is Verify for an API whose callers may also sign with Signature
// Version 2, in the query string of a GET or in the body of a POST, as the tools of
// the original do. A request with an Authorization header is held to version 4.
func (v *Verifier) VerifyEither(r *http.Request) (proof Proof, body []byte, err error) {
	if len(r.Header.Values("Authorization")) > 0 || r.Method != http.MethodGet && r.Method != http.MethodPost {
		return v.Verify(r)
	}
	if v.limits.failuresOf(r.RemoteAddr).TokensAt(v.now()) < 1 {
		return Proof{}, nil, exceeded("")
	}
	if body, err = v.readBody(r); err != nil {
		return Proof{}, nil, err
	}
	signed, other := r.URL.RawQuery, string(body)
	if r.Method == http.MethodPost {
		signed, other = other, signed
	}
	parameters, err := parameters2(signed)
	if err != nil {
		return Proof{}, nil, err
	}
	if _, ok := parameters[versionParameter]; !ok {
		return Proof{}, nil, unsigned(r)
	}
	if other != "" {
		return Proof{}, nil, &Error{Code: Incomplete, Message: "with Signature Version 2 all parameters stand in the query string of a GET or in the body of a POST"}
	}
	c, err := v.claim2(parameters)
	if err != nil {
		return Proof{}, nil, err
	}
	delete(parameters, signatureParameter)
	proof, err = v.compare(r, c, func(secret string) []string {
		var right []string
		for _, host := range hosts2(r.Host) {
			right = append(right, sign2(secret, r, host, parameters))
		}
		return right
	})
	if err != nil {
		return Proof{}, nil, err
	}
	return proof, body, nil
}

// parameters2 parses a form in which each name stands once.
func parameters2(form string) (map[string]string, error) {
	malformed := &Error{Code: Incomplete, Message: "the parameters are not a valid form"}
	if strings.Count(form, "&") >= maxParameters2 {
		return nil, malformed
	}
	values, err := url.ParseQuery(form)
	if err != nil {
		return nil, malformed
	}
	parameters := make(map[string]string, len(values))
	for name, list := range values {
		if len(list) > 1 {
			return nil, &Error{Code: Incomplete, Message: "a parameter is there more than once"}
		}
		parameters[name] = list[0]
	}
	return parameters, nil
}

// claim2 checks all that can be checked without the secret.
func (v *Verifier) claim2(parameters map[string]string) (claimed, error) {
	c := claimed{version: 2, accessKey: parameters[keyParameter], signature: parameters[signatureParameter]}
	switch {
	case parameters[versionParameter] != "2":
		return claimed{}, &Error{Code: Unsupported, Message: "the signature is of another version than 2 and 4"}
	case parameters[methodParameter] != method2:
		return claimed{}, &Error{Code: Unsupported, Message: fmt.Sprintf("the '%s' must be %s", methodParameter, method2)}
	case !accessKeyForm.MatchString(c.accessKey):
		return claimed{}, &Error{Code: Incomplete, Message: fmt.Sprintf("the '%s' is missing or malformed", keyParameter)}
	case !signature2Form.MatchString(c.signature):
		return claimed{}, &Error{Code: Incomplete, Message: fmt.Sprintf("the '%s' is not the base64 of 32 bytes", signatureParameter)}
	}
	var err error
	c.expires, err = v.expires2(parameters, c.accessKey)
	return c, err
}

// expires2 returns when the request ends to be good: so long after its time stamp
// as with version 4, or at the time that the caller has set, unless that is later
// than any time stamp could make it.
func (v *Verifier) expires2(parameters map[string]string, accessKey string) (time.Time, error) {
	date, dated := parameters[dateParameter]
	expiry, expires := parameters[expiryParameter]
	if dated == expires {
		return time.Time{}, &Error{Code: Incomplete, Message: fmt.Sprintf("the request must have one of '%s' and '%s'", dateParameter, expiryParameter)}
	}
	t, err := time.Parse(timeFormat2, strings.TrimSuffix(date+expiry, "Z"))
	if err != nil {
		return time.Time{}, &Error{Code: Incomplete, Message: fmt.Sprintf("'%s' or '%s' is not of the form YYYY-MM-DDTHH:MM:SSZ", dateParameter, expiryParameter)}
	}
	if dated {
		return t.Add(v.maxSkew()), v.checkSkew(t, date, accessKey)
	}
	if now := v.now(); !t.After(now) || t.After(now.Add(2*v.maxSkew())) {
		return time.Time{}, &Error{Expired, fmt.Sprintf("Request has expired, or is good for more than %v: '%s' is %s and it is %s now", 2*v.maxSkew(), expiryParameter, expiry, now.UTC().Format(timeFormat)), accessKey}
	}
	return t, nil
}

// hosts2 returns the host as clients may have signed it. A port that is not the
// protocol's own belongs to it, but later versions of boto leave it out.
func hosts2(host string) []string {
	host = strings.ToLower(host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		return []string{host, name}
	}
	return []string{host}
}

// sign2 returns the signature of r.
func sign2(secret string, r *http.Request, host string, parameters map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		pairs = append(pairs, escape(name, "")+"="+escape(parameters[name], ""))
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	toSign := strings.Join([]string{r.Method, host, path, strings.Join(pairs, "&")}, "\n")
	return base64.StdEncoding.EncodeToString(mac([]byte(secret), toSign))
}
