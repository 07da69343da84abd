// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mallee-io/mallee/internal/auth"
)

const limit = 1 << 16

// upload is a request that names the hash of its body.
func upload(body string) request {
	q := plainRequest()
	q.body = body
	sum := sha256.Sum256([]byte(body))
	q.header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	return q
}

// untouchable is a body that nobody may read.
type untouchable struct{ t *testing.T }

func (b untouchable) Read([]byte) (int, error) {
	b.t.Error("the body was read before the caller was proved")
	return 0, io.EOF
}

func TestASignedStreamIsRead(t *testing.T) {
	for name, body := range map[string]string{"empty": "", "short": "records", "as long as may be": strings.Repeat("x", limit)} {
		t.Run(name, func(t *testing.T) {
			proof, stream, err := newVerifier().VerifyStream(upload(body).signed(t), limit)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(stream); err != nil || string(got) != body || proof.AccessKey != alice {
				t.Errorf("read %d bytes of %d as %s, %v", len(got), len(body), proof.AccessKey, err)
			}
		})
	}
}

func TestAStreamIsRefusedUnread(t *testing.T) {
	for name, test := range map[string]struct {
		request func(*request)
		change  func(*http.Request)
		want    auth.Code
	}{
		"not signed":       {change: func(r *http.Request) { r.Header.Del("Authorization") }, want: auth.Missing},
		"wrong secret":     {request: func(q *request) { q.secret = "guess" }, want: auth.Failure},
		"another hash":     {change: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }, want: auth.Failure},
		"no hash":          {request: func(q *request) { q.header.Del("X-Amz-Content-Sha256") }, want: auth.Incomplete},
		"hash not signed":  {request: func(q *request) { q.header.Del("X-Amz-Content-Sha256") }, change: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }, want: auth.Incomplete},
		"no hash as such":  {request: func(q *request) { q.header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, want: auth.Incomplete},
		"announced length": {change: func(r *http.Request) { r.ContentLength = limit + 1 }, want: auth.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			q := upload("records")
			if test.request != nil {
				test.request(&q)
			}
			r := q.signed(t)
			if test.change != nil {
				test.change(r)
			}
			r.Body = io.NopCloser(untouchable{t})
			proof, stream, err := newVerifier().VerifyStream(r, limit)
			if got := refusal(t, err); got != test.want || stream != nil || proof != (auth.Proof{}) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestAStreamThatIsNotWhatWasSignedFails(t *testing.T) {
	for name, test := range map[string]struct {
		body io.Reader
		want auth.Code
	}{
		"another":         {strings.NewReader("recordz"), auth.Failure},
		"half of it":      {strings.NewReader("rec"), auth.Failure},
		"more of it":      {strings.NewReader("records and more"), auth.Failure},
		"cut off":         {brokenBody{}, auth.Incomplete},
		"longer than may": {strings.NewReader(strings.Repeat("x", limit+1)), auth.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := upload("records").signed(t)
			r.Body = io.NopCloser(test.body)
			_, stream, err := newVerifier().VerifyStream(r, limit)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, stream); refusal(t, err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
