// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
)

func TestAKeyMayMakeSoManyCalls(t *testing.T) {
	now := signedAt
	v := newVerifier()
	v.Rate, v.Burst, v.Now = 2, 3, func() time.Time { return now }
	other := plainRequest()
	other.key, other.secret = bob, "bobs-secret"
	calls := func(q request, n int) (admitted int) {
		for range n {
			_, _, err := v.Verify(q.signed(t))
			if err == nil {
				admitted++
			} else if code := refusal(t, err); code != auth.LimitExceeded {
				t.Errorf("refused with %s: %v", code, err)
			}
		}
		return admitted
	}
	if n := calls(plainRequest(), 5); n != 3 {
		t.Errorf("%d of 5 calls at once were admitted, want 3", n)
	}
	if n := calls(other, 1); n != 1 {
		t.Error("one key's calls were counted against another")
	}
	now = now.Add(time.Second)
	if n := calls(plainRequest(), 5); n != 2 {
		t.Errorf("%d of 5 calls a second later were admitted, want 2", n)
	}
	forged := plainRequest()
	forged.key, forged.secret = bob, "guess"
	for range 10 {
		if _, _, err := v.Verify(forged.signed(t)); refusal(t, err) != auth.Failure {
			t.Fatal(err)
		}
	}
	if n := calls(other, 1); n != 1 {
		t.Error("who does not have a key's secret used up its calls")
	}
}

// A source that fails all the time costs no more looks into the records, and
// others go on.
func TestFailuresOfOneSourceAreBounded(t *testing.T) {
	for name, sources := range map[string]struct{ flood, same, other string }{
		"IPv4":           {"192.0.2.1:1000", "192.0.2.1:2000", "192.0.2.2:1000"},
		"IPv4 in IPv6":   {"[::ffff:192.0.2.1]:1000", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1"},
		"a host of IPv6": {"[2001:db8::1]:1000", "[2001:db8::2:3]:1", "[2001:db8:0:1::1]:1"},
	} {
		t.Run(name, func(t *testing.T) {
			now, lookups := signedAt, 0
			v := newVerifier()
			find := v.Secret
			v.Now = func() time.Time { return now }
			v.Secret = func(ctx context.Context, key string) (string, error) { lookups++; return find(ctx, key) }
			verify := func(remote, secret string) error {
				q := plainRequest()
				q.secret = secret
				r := q.signed(t)
				r.RemoteAddr = remote
				_, _, err := v.Verify(r)
				return err
			}
			for range 1000 {
				refusal(t, verify(sources.flood, "guess"))
			}
			if lookups > 100 {
				t.Errorf("1000 failures made %d lookups, want at most 100", lookups)
			}
			if code := refusal(t, verify(sources.same, aliceSecret)); code != auth.LimitExceeded {
				t.Errorf("from the same source there is %s", code)
			}
			if err := verify(sources.other, aliceSecret); err != nil {
				t.Errorf("from another source: %v", err)
			}
			now = now.Add(time.Second)
			if err := verify(sources.same, aliceSecret); err != nil {
				t.Errorf("from the same source, a second later: %v", err)
			}
		})
	}
}

// heldBody is a body of which the first part is there, and the rest when released.
type heldBody struct {
	first   io.Reader
	begun   func()
	release <-chan struct{}
}

func (b *heldBody) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	b.begun()
	<-b.release
	return 0, io.EOF
}

func TestLargeBodiesHaveSoManyPlaces(t *testing.T) {
	v := newVerifier()
	q := plainRequest()
	q.body = strings.Repeat("x", 100_000)
	release := make(chan struct{})
	var begun, ended sync.WaitGroup
	for range 32 {
		begun.Add(1)
		r := q.signed(t)
		r.Body = io.NopCloser(&heldBody{strings.NewReader(q.body), sync.OnceFunc(begun.Done), release})
		ended.Go(func() {
			if _, _, err := v.Verify(r); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	if _, _, err := v.Verify(q.signed(t)); refusal(t, err) != auth.LimitExceeded {
		t.Errorf("a large body without a place: %v", err)
	}
	if _, _, err := v.Verify(plainRequest().signed(t)); err != nil {
		t.Errorf("a small body while all places are taken: %v", err)
	}
	close(release)
	ended.Wait()
	if _, _, err := v.Verify(q.signed(t)); err != nil {
		t.Errorf("a large body when there is a place again: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	good := plainRequest().signed(f)
	get, post := plainRequest2(http.MethodGet).signed(), plainRequest2(http.MethodPost)
	signed, err := io.ReadAll(post.signed().Body)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", "/", "", good.Host, good.Header.Get("Authorization"), "20261122T120000Z", "application/x-www-form-urlencoded", plainRequest().body)
	f.Add("GET", "/", "Action=DescribeVolumes&a=%zz", "h", "AWS4-HMAC-SHA256 Credential=a/20261122/r/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64), "20261122T120000Z", "", "")
	f.Add("GET", "/services/compute/../..", "X-Amz-Signature=00&X-Amz-Algorithm=AWS4-HMAC-SHA256", "", "", "", "\x00\r\n", "")
	f.Add("PUT", "*", "&&=&;", "h:1", "AWS AKIA:x", "2026", "a  b", "Action=\xff")
	f.Add("GET", get.URL.Path, get.URL.RawQuery, get.Host, "", "", "", "")
	f.Add("POST", post.path, "", post.host, "", "", "", string(signed))
	f.Add("POST", "/", "", "[h:1", "", "", "", "SignatureVersion=2&SignatureMethod=HmacSHA256&AWSAccessKeyId=a&Expires=2026-11-22T12:10:00&Signature="+strings.Repeat("/", 43)+"%3D")
	f.Fuzz(func(t *testing.T, method, path, query, host, authorization, date, contentType, body string) {
		r := plainRequest().signed(t)
		r.Method, r.URL.Path, r.URL.RawQuery, r.Host = method, path, query, host
		r.Header = http.Header{"X-Amz-Date": {date}, "Content-Type": {contentType}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		proof, read, err := newVerifier().VerifyEither(r)
		switch {
		case err != nil:
		case proof.Version == 4:
			// Without the secret only the request that was signed can be made, in
			// spellings that are the same to it.
			if proof.AccessKey != alice || string(read) != body || body != plainRequest().body || method != "POST" || host != good.Host || date != "20261122T120000Z" {
				t.Fatalf("%+v was let in with %q %q %q %q %q", proof, method, host, date, authorization, body)
			}
			return
		default:
			got, err := url.ParseQuery(query + body)
			got.Del("Signature")
			want := url.Values{}
			for name, value := range plainRequest2(method).parameters {
				want.Set(name, value)
			}
			if d := cmp.Diff(want, got); err != nil || d != "" || query != "" && body != "" || path != post.path || !strings.Contains(strings.ToLower(host), post.host) {
				t.Fatalf("%+v was let in with %q %q %q, %v (-want +got)\n%s", proof, method, host, path, err, d)
			}
			return
		}
		e, ok := errors.AsType[*auth.Error](err)
		if !ok || e.Code == "" || mallee.KindOf(err) != mallee.Internal || read != nil || proof != (auth.Proof{}) {
			t.Fatalf("it is refused with %#v, and %+v and %q are given out", err, proof, read)
		}
		if strings.ContainsFunc(e.AccessKey, func(c rune) bool { return c < '!' || c > '~' }) {
			t.Fatalf("the log would be given access key %q", e.AccessKey)
		}
	})
}
