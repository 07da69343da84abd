// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mallee-io/mallee"
)

// replies answers each request with the next of its answers, and with the last
// from then on.
type replies struct {
	answers []reply
	calls   int
}

type reply struct {
	status int
	body   string
}

func (r *replies) RoundTrip(*http.Request) (*http.Response, error) {
	answer := r.answers[min(r.calls, len(r.answers)-1)]
	r.calls++
	return &http.Response{StatusCode: answer.status, Body: io.NopCloser(strings.NewReader(answer.body))}, nil
}

func refusal(status int, code string) reply {
	return reply{status, "<Response><Errors><Error><Code>" + code + "</Code><Message>no</Message></Error></Errors></Response>"}
}

func TestRetry(t *testing.T) {
	limited, away, wrong := refusal(503, "RequestLimitExceeded"), refusal(503, "Unavailable"), refusal(400, "InvalidParameterValue")
	proxy := reply{503, "<html>no server</html>"}
	none := reply{200, "<DescribeVolumesResponse/>"}
	list := func(ctx context.Context, c *Client) error { _, err := c.Volumes(ctx); return err }
	remove := func(ctx context.Context, c *Client) error { return c.DeleteVolume(ctx, "vol-1a2b3c4d") }
	for _, test := range []struct {
		name    string
		call    func(context.Context, *Client) error
		answers []reply
		stop    time.Duration // when the caller gives up; 0 for never
		calls   int
		code    string // of the error; "" for none
		is      error
	}{
		{name: "a limit passes", call: remove, answers: []reply{limited, limited, none}, calls: 3},
		{name: "a limit does not pass", call: list, answers: []reply{limited}, calls: 4, code: "RequestLimitExceeded"},
		{name: "reading while the cloud is restarted", call: list, answers: []reply{away, proxy, none}, calls: 3},
		{name: "changing while the cloud is restarted", call: remove, answers: []reply{away, none}, calls: 1, code: "Unavailable"},
		{name: "wrong for good", call: list, answers: []reply{wrong, none}, calls: 1, code: "InvalidParameterValue"},
		{name: "the caller gives up", call: list, answers: []reply{limited}, stop: 50 * time.Millisecond, calls: 1, is: context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(Config{Endpoint: "https://clc:8773", AccessKey: "a", SecretKey: "s"})
				if err != nil {
					t.Fatal(err)
				}
				server := &replies{answers: test.answers}
				c.http.Transport = server
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.stop > 0 {
					defer time.AfterFunc(test.stop, cancel).Stop()
				}
				start := time.Now()
				err = test.call(ctx, c)
				refused, _ := errors.AsType[*APIError](err)
				switch {
				case test.code != "" && (refused == nil || refused.Code != test.code):
					t.Errorf("got %v, want %s", err, test.code)
				case test.is != nil && !errors.Is(err, test.is):
					t.Errorf("got %v, want %v", err, test.is)
				case test.code == "" && test.is == nil && err != nil:
					t.Error(err)
				}
				if server.calls != test.calls {
					t.Errorf("called %d times, want %d", server.calls, test.calls)
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A pause that the caller has no time for is not made: why the call was refused
// tells more than that time is up.
func TestRetryWithinTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Endpoint: "https://clc:8773", AccessKey: "a", SecretKey: "s"})
		if err != nil {
			t.Fatal(err)
		}
		server := &replies{answers: []reply{refusal(503, "RequestLimitExceeded")}}
		c.http.Transport = server
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err = c.CreateVolume(ctx, mallee.VolumeSpec{Partition: "PARTI00", SizeGiB: 1})
		if refused, ok := errors.AsType[*APIError](err); !ok || refused.Code != "RequestLimitExceeded" || server.calls < 2 {
			t.Errorf("after %d calls got %v, want the refusal", server.calls, err)
		}
	})
}
