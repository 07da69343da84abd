// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
)

const (
	alice       = "AKIAALICEALICEALICE0"
	bob         = "AKIABOBBOBBOBBOBBOB0"
	aliceSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// signedAt is in the middle of a day, so that a shift of hours keeps the date.
var signedAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newVerifier() *auth.Verifier {
	secrets := map[string]string{alice: aliceSecret, bob: "bobs-secret"}
	return &auth.Verifier{
		Services: []string{"ec2", "properties"},
		Secret: func(_ context.Context, accessKey string) (string, error) {
			if s, ok := secrets[accessKey]; ok {
				return s, nil
			}
			return "", &mallee.Error{Op: "find", Kind: mallee.NotFound, ID: accessKey, Err: errors.New("no such key")}
		},
		Now: func() time.Time { return signedAt },
	}
}

// request is a request before it is signed.
type request struct {
	method, url, body string
	header            http.Header
	key, secret       string
	service, region   string
	at                time.Time
}

func plainRequest() request {
	return request{
		method: "POST", url: "https://clc.example.net:8773/", body: "Action=DescribeVolumes&Version=2016-11-15",
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		key:    alice, secret: aliceSecret, service: "ec2", region: "mallee", at: signedAt,
	}
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

// signed returns the request as a server receives it.
func (q request) signed(t fataler) *http.Request {
	t.Helper()
	out, err := http.NewRequest(q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = q.header.Clone()
	sum := sha256.Sum256([]byte(q.body))
	credentials := aws.Credentials{AccessKeyID: q.key, SecretAccessKey: q.secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, out, hex.EncodeToString(sum[:]), q.service, q.region, q.at); err != nil {
		t.Fatal(err)
	}
	in := httptest.NewRequest(q.method, out.URL.RequestURI(), strings.NewReader(q.body))
	in.Host = out.URL.Host
	in.Header = out.Header
	return in
}

func refusal(t fataler, err error) auth.Code {
	t.Helper()
	e, ok := errors.AsType[*auth.Error](err)
	if !ok {
		t.Fatal(fmt.Sprintf("the error is %v, want a refusal", err))
	}
	return e.Code
}

func drawRequest(t *rapid.T) request {
	q := plainRequest()
	q.method = rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method")
	q.service = rapid.SampledFrom([]string{"ec2", "properties"}).Draw(t, "service")
	q.region = rapid.StringMatching(`[a-z]{2}-[a-z]{4,9}-[0-9]`).Draw(t, "region")
	q.body = rapid.String().Draw(t, "body")
	query := url.Values{}
	for _, name := range rapid.SliceOfN(rapid.String(), 0, 4).Draw(t, "names") {
		query[name] = rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "values")
	}
	path := url.URL{Path: "/" + rapid.StringMatching(`[ -~éλ]{0,20}`).Draw(t, "path")}
	q.url = "https://clc.example.net:8773/" + strings.TrimLeft(path.EscapedPath(), "/") + "?" + query.Encode()
	q.header = http.Header{}
	for _, name := range rapid.SliceOfN(rapid.StringMatching(`X-[A-Z][a-z]{1,8}`), 0, 4).Draw(t, "headers") {
		q.header[name] = rapid.SliceOfN(rapid.StringMatching(`[!-~][ -~]{0,20}`), 1, 3).Draw(t, "header values")
	}
	return q
}

func TestWhatTheSDKSignsIsAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawRequest(t)
		proof, body, err := newVerifier().Verify(q.signed(t))
		if err != nil {
			t.Fatal(err)
		}
		if proof.AccessKey != alice || string(body) != q.body {
			t.Fatalf("got %+v and body %q, want %q and %q", proof, body, alice, q.body)
		}
	})
}

// mutations each change one thing that a signature must hold fast.
var mutations = map[string]func(*rapid.T, *http.Request){
	"a byte of the body": func(t *rapid.T, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) == 0 {
			body = []byte("x")
		} else {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "offset")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	},
	"a query parameter more": func(_ *rapid.T, r *http.Request) { r.URL.RawQuery += "&DryRun=true" },
	"the path":               func(_ *rapid.T, r *http.Request) { r.URL.Path, r.URL.RawPath = r.URL.Path+"x", "" },
	"the method": func(_ *rapid.T, r *http.Request) {
		r.Method = map[string]string{"GET": "POST", "POST": "GET"}[r.Method]
	},
	"the host": func(_ *rapid.T, r *http.Request) { r.Host = "other.example.net:8773" },
	"the date": func(_ *rapid.T, r *http.Request) {
		r.Header.Set("X-Amz-Date", signedAt.Add(time.Second).Format("20060102T150405Z"))
	},
	"a signed header": func(t *rapid.T, r *http.Request) {
		r.Header.Add(rapid.SampledFrom(signedNames(r)).Draw(t, "name"), "more")
	},
	"a digit of the signature": func(t *rapid.T, r *http.Request) {
		h := []byte(r.Header.Get("Authorization"))
		last := &h[len(h)-1-rapid.IntRange(0, 63).Draw(t, "digit")]
		*last = map[bool]byte{true: '1', false: '0'}[*last == '0']
		r.Header.Set("Authorization", string(h))
	},
	"the access key": replaceAuthorization(alice, bob),
	"an unknown key": replaceAuthorization(alice, "AKIANOBODY"),
	"the region":     replaceAuthorization("/2026", "/2025"),
	"the terminator": replaceAuthorization("/aws4_request", "x/aws4_request"),
	"host not signed": func(_ *rapid.T, r *http.Request) {
		h := r.Header.Get("Authorization")
		r.Header.Set("Authorization", strings.Replace(h, "host;", "", 1))
	},
}

func replaceAuthorization(old, with string) func(*rapid.T, *http.Request) {
	return func(_ *rapid.T, r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
	}
}

// signedNames returns the signed headers that stand in the request's header map.
func signedNames(r *http.Request) []string {
	var names []string
	_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	for name := range strings.SplitSeq(list, ";") {
		if name != "host" && name != "content-length" {
			names = append(names, name)
		}
	}
	return names
}

func TestAnyChangeIsRefused(t *testing.T) {
	for name, mutate := range mutations {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				r := drawRequest(t).signed(t)
				mutate(t, r)
				proof, body, err := newVerifier().Verify(r)
				if err == nil || proof != (auth.Proof{}) || body != nil {
					t.Fatalf("%+v and body %q got through, with error %v", proof, body, err)
				}
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		request func(*request)
		change  func(*http.Request)
		want    auth.Code
	}{
		"not signed":              {change: func(r *http.Request) { r.Header.Del("Authorization") }, want: auth.Missing},
		"signed twice":            {change: func(r *http.Request) { r.Header.Add("Authorization", "x") }, want: auth.Incomplete},
		"presigned":               {change: func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "X-Amz-Signature=00" }, want: auth.Unsupported},
		"basic authentication":    {change: func(r *http.Request) { r.SetBasicAuth("a", "b") }, want: auth.Incomplete},
		"no date":                 {change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, want: auth.Incomplete},
		"date of another day":     {change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261121T120000Z") }, want: auth.Incomplete},
		"signed header is absent": {change: func(r *http.Request) { r.Header.Del("Content-Type") }, want: auth.Incomplete},
		"malformed query":         {change: func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, want: auth.Incomplete},
		"body ends early":         {change: func(r *http.Request) { r.Body = io.NopCloser(brokenBody{}) }, want: auth.Incomplete},
		"too old":                 {request: func(q *request) { q.at = signedAt.Add(-auth.DefaultMaxSkew - time.Second) }, want: auth.Expired},
		"clock ahead":             {request: func(q *request) { q.at = signedAt.Add(auth.DefaultMaxSkew + time.Second) }, want: auth.Expired},
		"wrong secret":            {request: func(q *request) { q.secret = "guess" }, want: auth.Failure},
		"unknown key":             {request: func(q *request) { q.key = "AKIANOBODY" }, want: auth.Failure},
		"scoped to s3":            {request: func(q *request) { q.service = "s3" }, want: auth.Failure},
		"key with an escape code": {request: func(q *request) { q.key = "\x1b[31mred" }, want: auth.Incomplete},
		"large body, announced":   {request: func(q *request) { q.body = strings.Repeat("x", 1<<20+1) }, want: auth.TooLarge},
		"large body, chunked": {
			request: func(q *request) { q.body = strings.Repeat("x", 1<<20+1) },
			change:  func(r *http.Request) { r.ContentLength = -1 }, want: auth.TooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := plainRequest()
			if c.request != nil {
				c.request(&q)
			}
			r := q.signed(t)
			if c.change != nil {
				c.change(r)
			}
			_, _, err := newVerifier().Verify(r)
			if got := refusal(t, err); got != c.want {
				t.Errorf("refused with %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// endlessBody is what a caller sends who wants to fill the memory.
type endlessBody struct{ read int }

func (b *endlessBody) Read(p []byte) (int, error) {
	b.read += len(p)
	return len(p), nil
}

func TestEndlessBodyIsLeftUnread(t *testing.T) {
	r := plainRequest().signed(t)
	body := &endlessBody{}
	r.Body, r.ContentLength = io.NopCloser(body), -1
	v := newVerifier()
	v.MaxBody = 1000
	if _, _, err := v.Verify(r); refusal(t, err) != auth.TooLarge {
		t.Errorf("refused with %v", err)
	}
	if body.read > 1001 {
		t.Errorf("%d bytes were read, with a limit of 1000", body.read)
	}
}

func TestUnknownKeyAndWrongSecretLookAlike(t *testing.T) {
	unknown, wrong := plainRequest(), plainRequest()
	unknown.key, wrong.secret = "AKIANOBODY", "guess"
	_, _, a := newVerifier().Verify(unknown.signed(t))
	_, _, b := newVerifier().Verify(wrong.signed(t))
	if refusal(t, a) != refusal(t, b) || a.Error() != b.Error() {
		t.Errorf("an unknown key gives %q, a wrong secret %q", a, b)
	}
}

func TestEmptySecretOpensNothing(t *testing.T) {
	v := newVerifier()
	v.Secret = func(context.Context, string) (string, error) { return "", nil }
	q := plainRequest()
	q.secret = ""
	r := q.signed(t)
	if _, _, err := v.Verify(r); refusal(t, err) != auth.Failure {
		t.Errorf("refused with %v", err)
	}
}

func TestFailedLookupIsNoRefusal(t *testing.T) {
	v := newVerifier()
	v.Secret = func(context.Context, string) (string, error) { return "", errors.New("store is away") }
	_, _, err := v.Verify(plainRequest().signed(t))
	if _, refused := errors.AsType[*auth.Error](err); refused || err == nil {
		t.Errorf("got %v, want the failure itself: the caller's key may be good", err)
	}
}

func TestSkewWithinTheLimitIsAccepted(t *testing.T) {
	for _, d := range []time.Duration{-auth.DefaultMaxSkew, auth.DefaultMaxSkew} {
		q := plainRequest()
		q.at = signedAt.Add(d)
		if _, _, err := newVerifier().Verify(q.signed(t)); err != nil {
			t.Errorf("signed %v from now: %v", d, err)
		}
	}
}
