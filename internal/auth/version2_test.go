// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mallee-io/mallee/internal/auth"
)

// request2 is a request before it is signed with version 2.
type request2 struct {
	method, host, path string
	signedHost         string // what is signed for host; empty for host itself
	parameters         map[string]string
	secret             string
}

func plainRequest2(method string) request2 {
	return request2{
		method: method, host: "clc.example.net:8773", path: "/services/Properties/", secret: aliceSecret,
		parameters: map[string]string{
			"Action": "ModifyPropertyValue", "Version": "eucalyptus", "Name": "PARTI00.storage.ncpaths", "Value": "iface0:10.107.1.200, 10.108.1.200~é",
			"AWSAccessKeyId": alice, "SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "Timestamp": signedAt.Format("2006-01-02T15:04:05Z"),
		},
	}
}

// form returns the parameters as they are signed: sorted by name, in RFC 3986's escapes.
func (q request2) form() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(q.parameters)) {
		// Between QueryEscape and RFC 3986 the blank alone makes a difference.
		pairs = append(pairs, strings.ReplaceAll(url.QueryEscape(name)+"="+url.QueryEscape(q.parameters[name]), "+", "%20"))
	}
	return strings.Join(pairs, "&")
}

// signed returns the request as a server receives it.
func (q request2) signed() *http.Request {
	host := q.signedHost
	if host == "" {
		host = q.host
	}
	hash := hmac.New(sha256.New, []byte(q.secret))
	hash.Write([]byte(q.method + "\n" + strings.ToLower(host) + "\n" + q.path + "\n" + q.form()))
	return q.with(base64.StdEncoding.EncodeToString(hash.Sum(nil)))
}

// with returns the request with that signature.
func (q request2) with(signature string) *http.Request {
	form := q.form() + "&Signature=" + url.QueryEscape(signature)
	target, body := q.path+"?"+form, ""
	if q.method == http.MethodPost {
		target, body = q.path, form
	}
	r := httptest.NewRequest(q.method, target, strings.NewReader(body))
	r.Host = q.host
	if q.method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}
	return r
}

// The example of "AWS General Reference: Signature Version 2 signing process".
func TestVersion2ExampleOfAWS(t *testing.T) {
	v := newVerifier()
	v.Now = func() time.Time { return time.Date(2011, 10, 3, 15, 20, 0, 0, time.UTC) }
	v.Secret = func(context.Context, string) (string, error) { return "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", nil }
	r := httptest.NewRequest(http.MethodGet, "/?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Action=DescribeJobFlows&SignatureMethod=HmacSHA256&SignatureVersion=2"+
		"&Timestamp=2011-10-03T15%3A19%3A30&Version=2009-03-31&Signature=i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf%2FMj6vPxyYIs%3D", nil)
	r.Host = "elasticmapreduce.amazonaws.com"
	if proof, _, err := v.VerifyEither(r); err != nil || proof.AccessKey != "AKIAIOSFODNN7EXAMPLE" || proof.Version != 2 {
		t.Errorf("got %+v, %v", proof, err)
	}
}

func TestVersion2IsAcceptedWhereItIsAllowed(t *testing.T) {
	for name, change := range map[string]func(*request2){
		"as it is":            func(*request2) {},
		"without the port":    func(q *request2) { q.signedHost = "clc.example.net" },
		"host in capitals":    func(q *request2) { q.host = "CLC.example.net:8773" },
		"on the default port": func(q *request2) { q.host = "clc.example.net" },
		"expires":             func(q *request2) { delete(q.parameters, "Timestamp"); q.parameters["Expires"] = "2026-11-22T12:10:00Z" },
		"fraction of seconds": func(q *request2) { q.parameters["Timestamp"] = "2026-11-22T12:00:00.123Z" },
		"clock ahead":         func(q *request2) { q.parameters["Timestamp"] = "2026-11-22T12:15:00Z" },
		"no parameter":        func(q *request2) { delete(q.parameters, "Value") },
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(method+" "+name, func(t *testing.T) {
				q := plainRequest2(method)
				change(&q)
				proof, body, err := newVerifier().VerifyEither(q.signed())
				if err != nil {
					t.Fatal(err)
				}
				if proof.AccessKey != alice || proof.Version != 2 || (method == http.MethodPost) != (len(body) > 0) {
					t.Errorf("got %+v and body %q", proof, body)
				}
				if latest := signedAt.Add(2 * auth.DefaultMaxSkew); !proof.Expires.After(signedAt) || proof.Expires.After(latest) {
					t.Errorf("it expires at %v", proof.Expires)
				}
				if proof, _, err := newVerifier().Verify(q.signed()); err == nil {
					t.Errorf("where only version 4 is allowed, %+v got through", proof)
				}
			})
		}
	}
}

func TestVersion4IsAcceptedBesideVersion2(t *testing.T) {
	proof, _, err := newVerifier().VerifyEither(plainRequest().signed(t))
	if err != nil || proof.Version != 4 {
		t.Errorf("got %+v, %v", proof, err)
	}
}

func TestVersion2Refusals(t *testing.T) {
	set := func(name, value string) func(*request2) { return func(q *request2) { q.parameters[name] = value } }
	for name, c := range map[string]struct {
		request func(*request2)
		change  func(*http.Request)
		want    auth.Code
	}{
		"not signed":         {request: func(q *request2) { delete(q.parameters, "SignatureVersion") }, want: auth.Unsupported}, // a Signature in the URL
		"version 1":          {request: set("SignatureVersion", "1"), want: auth.Unsupported},
		"SHA-1":              {request: set("SignatureMethod", "HmacSHA1"), want: auth.Unsupported},
		"no method":          {request: func(q *request2) { delete(q.parameters, "SignatureMethod") }, want: auth.Unsupported},
		"no key":             {request: func(q *request2) { delete(q.parameters, "AWSAccessKeyId") }, want: auth.Incomplete},
		"key with an escape": {request: set("AWSAccessKeyId", "\x1b[31mred"), want: auth.Incomplete},
		"no date":            {request: func(q *request2) { delete(q.parameters, "Timestamp") }, want: auth.Incomplete},
		"two dates":          {request: set("Expires", "2026-11-22T12:10:00Z"), want: auth.Incomplete},
		"malformed date":     {request: set("Timestamp", "today"), want: auth.Incomplete},
		"too old":            {request: set("Timestamp", "2026-11-22T11:44:59Z"), want: auth.Expired},
		"clock too far":      {request: set("Timestamp", "2026-11-22T12:15:01Z"), want: auth.Expired},
		"expired": {request: func(q *request2) {
			delete(q.parameters, "Timestamp")
			q.parameters["Expires"] = "2026-11-22T12:00:00Z"
		}, want: auth.Expired},
		"good for ever": {request: func(q *request2) {
			delete(q.parameters, "Timestamp")
			q.parameters["Expires"] = "2036-11-22T12:00:00Z"
		}, want: auth.Expired},
		"wrong secret":  {request: func(q *request2) { q.secret = "guess" }, want: auth.Failure},
		"unknown key":   {request: set("AWSAccessKeyId", "AKIANOBODY"), want: auth.Failure},
		"another host":  {request: func(q *request2) { q.signedHost = "other.example.net:8773" }, want: auth.Failure},
		"another port":  {request: func(q *request2) { q.signedHost = "clc.example.net:1" }, want: auth.Failure},
		"another path":  {change: func(r *http.Request) { r.URL.Path = "/services/Empyrean/" }, want: auth.Failure},
		"a body beside": {change: func(r *http.Request) { *r = *withBody(r, "Force=true") }, want: auth.Incomplete},
		"twice":         {change: func(r *http.Request) { r.URL.RawQuery += "&Name=x" }, want: auth.Incomplete},
		"no form":       {change: func(r *http.Request) { r.URL.RawQuery += "&%zz" }, want: auth.Incomplete},
		"too many":      {change: func(r *http.Request) { r.URL.RawQuery += strings.Repeat("&", 2000) }, want: auth.Incomplete},
		"large body":    {change: func(r *http.Request) { *r = *withBody(r, strings.Repeat("x", 1<<20+1)) }, want: auth.TooLarge},
		"Authorization too": {change: func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
		}, want: auth.Incomplete},
		"other method": {change: func(r *http.Request) { r.Method = http.MethodPut }, want: auth.Unsupported},
		// Base64 leaves two bits of the last digit to the writer's choice: whoever has
		// captured a request must not find another spelling of its signature.
		"other spelling": {change: func(r *http.Request) {
			const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
			form := r.URL.Query()
			last := &[]byte(form.Get("Signature"))[42]
			signature := []byte(form.Get("Signature"))
			signature[42] = digits[strings.IndexByte(digits, *last)|1]
			form.Set("Signature", string(signature))
			r.URL.RawQuery = form.Encode()
		}, want: auth.Failure},
	} {
		t.Run(name, func(t *testing.T) {
			q := plainRequest2(http.MethodGet)
			if c.request != nil {
				c.request(&q)
			}
			r := q.signed()
			if c.change != nil {
				c.change(r)
			}
			proof, body, err := newVerifier().VerifyEither(r)
			if got := refusal(t, err); got != c.want || proof != (auth.Proof{}) || body != nil {
				t.Errorf("refused with %s (%v), want %s; %+v and %q are given out", got, err, c.want, proof, body)
			}
		})
	}
}

func withBody(r *http.Request, body string) *http.Request {
	with := httptest.NewRequest(r.Method, r.URL.RequestURI(), strings.NewReader(body))
	with.Host, with.Header = r.Host, r.Header
	return with
}

// What is signed holds each parameter fast, wherever it stands.
func TestVersion2AnyChangeIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := plainRequest2(rapid.SampledFrom([]string{http.MethodGet, http.MethodPost}).Draw(t, "method"))
		for _, name := range rapid.SliceOfN(rapid.StringMatching(`[A-Z][a-z]{1,5}(\.[0-9]{1,2})?`), 0, 5).Draw(t, "names") {
			q.parameters[name] = rapid.String().Draw(t, "value")
		}
		if _, _, err := newVerifier().VerifyEither(q.signed()); err != nil {
			t.Fatal(err)
		}
		form := q.signed().URL.Query()
		if q.method == http.MethodPost {
			r := q.signed()
			if err := r.ParseForm(); err != nil {
				t.Fatal(err)
			}
			form = r.PostForm
		}
		signature := form.Get("Signature")
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(q.parameters))).Draw(t, "changed")
		if rapid.Bool().Draw(t, "drop") {
			delete(q.parameters, name)
		} else {
			q.parameters[name] += rapid.StringN(1, 3, -1).Draw(t, "more")
		}
		if proof, _, err := newVerifier().VerifyEither(q.with(signature)); err == nil {
			t.Fatalf("%+v got through with another %s", proof, name)
		}
	})
}

func TestVersion2FailuresOfOneSourceAreBounded(t *testing.T) {
	v, lookups := newVerifier(), 0
	find := v.Secret
	v.Secret = func(ctx context.Context, key string) (string, error) { lookups++; return find(ctx, key) }
	q := plainRequest2(http.MethodPost)
	q.secret = "guess"
	for range 1000 {
		_, _, err := v.VerifyEither(q.signed())
		refusal(t, err)
	}
	if lookups > 100 {
		t.Errorf("1000 failures made %d lookups, want at most 100", lookups)
	}
	q.secret = aliceSecret
	if _, _, err := v.VerifyEither(q.signed()); refusal(t, err) != auth.LimitExceeded {
		t.Errorf("from the same source there is %v", err)
	}
}
