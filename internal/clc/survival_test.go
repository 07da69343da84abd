// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// endless gives n bytes.
func endless(n int64) io.Reader { return io.LimitReader(letters{}, n) }

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// peak returns how many bytes the heap grew at most while do ran.
func peak(do func()) uint64 {
	runtime.GC()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before, most := heap(), uint64(0)
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return max(most, before) - before
		case <-tick.C:
			most = max(most, heap())
		}
	}
}

func TestHugeBodiesAreRefusedInLittleMemory(t *testing.T) {
	f := newFront(t, Options{})
	const size, callers = 100 << 20, 2
	for name, announced := range map[string]int64{"announced": size, "chunked": -1} {
		for protocol, client := range map[string]*http.Client{
			"HTTP/2":   f.http,
			"HTTP/1.1": {Transport: &http.Transport{TLSClientConfig: insecure(), DisableKeepAlives: true}},
		} {
			defer client.CloseIdleConnections()
			t.Run(name+" over "+protocol, func(t *testing.T) {
				grown := peak(func() {
					var calls sync.WaitGroup
					for range callers {
						calls.Go(func() {
							r := f.request(t, "/", describe)
							r.Body, r.ContentLength = io.NopCloser(endless(size)), announced
							answer, err := client.Do(r)
							if err != nil {
								t.Error(err)
								return
							}
							if code := answered(t, answer); answer.StatusCode != http.StatusRequestEntityTooLarge || code != "RequestEntityTooLarge" {
								t.Errorf("got %d %s", answer.StatusCode, code)
							}
						})
					}
					calls.Wait()
				})
				t.Logf("the heap grew by %d KiB", grown>>10)
				// Each may hold a megabyte and the garbage of some more; all buffers of
				// the clients count too.
				if grown > 64<<20 {
					t.Errorf("the heap grew by %d MiB with %d callers of %d MiB each", grown>>20, callers, size>>20)
				}
			})
		}
	}
	if answer, err := f.http.Do(f.request(t, "/", describe)); err != nil || answered(t, answer) != "" {
		t.Errorf("afterwards a call gets %v, %v", answer, err)
	}
}

// A caller who asks before it sends a body is told no before it does.
func TestExpectedContinueIsRefusedEarly(t *testing.T) {
	f := newFront(t, Options{})
	signed := f.request(t, "/", describe).Header
	for name, c := range map[string]struct {
		path, length, authorization string
		status                      int
	}{
		"too large":    {"/", "104857600", signed.Get("Authorization"), 413},
		"not signed":   {"/", "100", "x", 400},
		"another path": {"/nowhere", "100", "x", 404},
	} {
		t.Run(name, func(t *testing.T) {
			conn := f.dial(t)
			conn.Write([]byte("POST " + c.path + " HTTP/1.1\r\nHost: " + f.addr + "\r\nExpect: 100-continue\r\nContent-Length: " + c.length +
				"\r\nAuthorization: " + c.authorization + "\r\nX-Amz-Date: " + signed.Get("X-Amz-Date") + "\r\n\r\n"))
			line, err := bufio.NewReader(conn).ReadString('\n')
			if want := http.StatusText(c.status); err != nil || !strings.Contains(line, want) {
				t.Errorf("the first line is %q, %v, want %s", line, err, want)
			}
		})
	}
}

func TestOneSourceDoesNotTakeAllConnections(t *testing.T) {
	f := newFront(t, Options{})
	// Connections that do not even begin with TLS, so that they are cheap to make.
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for range maxSourceConnections {
		c, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	call := func(from string) error {
		dialer := &tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}, Config: insecure()}
		client := &http.Client{Transport: &http.Transport{DialTLSContext: dialer.DialContext, DisableKeepAlives: true}}
		answer, err := client.Do(f.request(t, "/", describe))
		if err != nil {
			return err
		}
		if code := answered(t, answer); code != "" {
			return errors.New(code)
		}
		return nil
	}
	if err := call("127.0.0.1"); err == nil {
		t.Errorf("one source has more than %d connections", maxSourceConnections)
	}
	if err := call("127.0.0.2"); err != nil {
		t.Errorf("another source is kept out: %v", err)
	}
	held[0].Close()
	deadline := time.Now().Add(patience)
	for err := call("127.0.0.1"); err != nil; err = call("127.0.0.1") {
		if time.Now().After(deadline) {
			t.Fatalf("there is room again, but: %v", err)
		}
	}
}

func TestClockSkew(t *testing.T) {
	f := newFront(t, Options{})
	for name, c := range map[string]struct {
		skew time.Duration
		code string
	}{
		"on time":     {0, ""},
		"behind":      {-14 * time.Minute, ""},
		"ahead":       {14 * time.Minute, ""},
		"far behind":  {-16 * time.Minute, "RequestExpired"},
		"far ahead":   {16 * time.Minute, "RequestExpired"},
		"a year late": {-365 * 24 * time.Hour, "RequestExpired"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.request(t, "/", describe)
			r.Header = http.Header{}
			answer, err := f.http.Do(f.sign(t, r, describe, time.Now().Add(c.skew)))
			if err != nil {
				t.Fatal(err)
			}
			if code := answered(t, answer); code != c.code {
				t.Errorf("got %d %s, want %q", answer.StatusCode, code, c.code)
			}
		})
	}
}

// SDKs take RequestLimitExceeded for what it is: they wait, and get there.
func TestSDKsGetThroughTheRateLimit(t *testing.T) {
	f := newFront(t, Options{APIRate: 20, APIBurst: 2})
	quick := func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 20, 200*time.Millisecond, noLimit{}
	}
	for name, retryer := range map[string]aws.Retryer{
		"standard": retry.NewStandard(quick),
		"adaptive": retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) { o.StandardOptions = append(o.StandardOptions, quick) }),
	} {
		t.Run(name, func(t *testing.T) {
			sdk := ec2.New(ec2.Options{
				BaseEndpoint: aws.String("https://" + f.addr), Region: "mallee", HTTPClient: f.http, Retryer: retryer,
				Credentials: credentials.NewStaticCredentialsProvider(f.keys.AccessKeyID, f.keys.SecretAccessKey, ""),
			})
			var calls sync.WaitGroup
			for range 4 {
				calls.Go(func() {
					if _, err := sdk.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{}); err != nil {
						t.Error(err)
					}
				})
			}
			calls.Wait()
		})
	}
	var limited bool
	for range 10 {
		answer, err := f.http.Do(f.request(t, "/", describe))
		if err != nil {
			t.Fatal(err)
		}
		if code := answered(t, answer); code == "RequestLimitExceeded" {
			limited = true
			if answer.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s has status %d", code, answer.StatusCode)
			}
		}
	}
	if !limited {
		t.Error("no call was beyond the limit")
	}
}

// noLimit lets the SDK try as often as its attempts allow.
type noLimit struct{}

func (noLimit) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (noLimit) AddTokens(uint) error { return nil }

func TestACapturedCallMakesNoSecondVolume(t *testing.T) {
	f := newFront(t, Options{})
	f.sc("sc1", partition).until("the first state", func(*cloudv1.PartitionState) bool { return true })
	form := "Action=CreateVolume&Size=1&AvailabilityZone=" + partition + "&Version=2016-11-15"
	captured := f.request(t, "/", form).Header
	for range 3 {
		r := f.request(t, "/", form)
		r.Header = captured
		answer, err := f.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if code := answered(t, answer); code != "" {
			t.Error(code)
		}
	}
	if list, err := f.Volumes(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("there are volumes %v, %v", list, err)
	}
}
