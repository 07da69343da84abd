// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest writes r as both sides hash it ("Create a signed AWS API
// request", step 1). query is the parsed query string of r, bodyHash the SHA-256
// of its body in hexadecimal digits.
func canonicalRequest(r *http.Request, query url.Values, signedHeaders []string, bodyHash string) (string, error) {
	var headers strings.Builder
	for _, name := range signedHeaders {
		value, ok := headerValue(r, name)
		if !ok {
			return "", fmt.Errorf("'%s' is named as a signed header, but is not in the request", name)
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	return strings.Join([]string{
		r.Method,
		// Every service but S3 escapes the path a second time.
		escape(path, "/"),
		canonicalQuery(query),
		headers.String(),
		strings.Join(signedHeaders, ";"),
		bodyHash,
	}, "\n"), nil
}

// headerValue returns the values of a header, trimmed, with runs of blanks made
// one and several values joined by commas. net/http moves some headers from the
// map into fields of the request.
func headerValue(r *http.Request, name string) (string, bool) {
	switch name {
	case "host":
		return r.Host, r.Host != ""
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10), r.ContentLength >= 0
	}
	values := r.Header.Values(name)
	cleaned := make([]string, len(values))
	for i, v := range values {
		cleaned[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(cleaned, ","), len(values) > 0
}

// canonicalQuery sorts after escaping, which is not the order before it.
func canonicalQuery(query url.Values) string {
	type parameter struct{ name, value string }
	var list []parameter
	for name, values := range query {
		for _, value := range values {
			list = append(list, parameter{escape(name, ""), escape(value, "")})
		}
	}
	slices.SortFunc(list, func(a, b parameter) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	pairs := make([]string, len(list))
	for i, p := range list {
		pairs[i] = p.name + "=" + p.value
	}
	return strings.Join(pairs, "&")
}

// escape percent-encodes every byte that is neither unreserved (RFC 3986 §2.3)
// nor in keep. url.QueryEscape differs in the blank, url.PathEscape in much more.
func escape(s, keep string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; strings.IndexByte(unreserved, c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// sign returns the signature of a canonical request (steps 2 to 4): date is the
// value of X-Amz-Date.
func sign(secret string, a authorization, date, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{algorithm, date, a.scope(), hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{a.day, a.region, a.service, terminator} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, toSign))
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}
