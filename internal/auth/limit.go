// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"hash/maphash"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

const (
	// smallBody is what anybody may send; what calls are, but for the longest.
	smallBody = 16 << 10
	// maxLargeBodies bounds the larger bodies that are in memory before it is
	// known whose they are.
	maxLargeBodies = 32
	// A source may fail that often before it is no longer listened to: each
	// failure costs a look into the records.
	failureRate  = 10 // a second
	failureBurst = 100
	sources      = 1024
)

// limits bound what callers can take. The zero value has taken nothing.
type limits struct {
	largeBodies atomic.Int32

	mu   sync.Mutex
	keys map[string]*rate.Limiter // of keys that exist; nobody else gets one
	// failures has a bucket for each hash of a source's address, so that its size
	// does not depend on how many addresses there are. Two sources that share a
	// bucket share its tokens.
	failures [sources]*rate.Limiter
	seed     maphash.Seed
}

// exceeded is the refusal of a call beyond a limit, in EC2's words. SDKs wait and
// try again.
func exceeded(accessKey string) *Error {
	return &Error{Code: LimitExceeded, Message: "Request limit exceeded.", AccessKey: accessKey}
}

// admit takes a token of an access key that has proved itself.
func (v *Verifier) admit(accessKey string) error {
	if v.Rate == 0 {
		return nil
	}
	l := &v.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.keys[accessKey]
	if !ok {
		if l.keys == nil {
			l.keys = map[string]*rate.Limiter{}
		}
		bucket = rate.NewLimiter(rate.Limit(v.Rate), v.Burst)
		l.keys[accessKey] = bucket
	}
	if !bucket.AllowN(v.now(), 1) {
		return exceeded(accessKey)
	}
	return nil
}

// failuresOf returns the bucket of a source, given as "address:port".
func (l *limits) failuresOf(remote string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seed == (maphash.Seed{}) {
		l.seed = maphash.MakeSeed()
	}
	bucket := &l.failures[maphash.String(l.seed, Source(remote))%sources]
	if *bucket == nil {
		*bucket = rate.NewLimiter(failureRate, failureBurst)
	}
	return *bucket
}

// Source returns what a caller at remote, "address:port", cannot change at will:
// its address, of IPv6 the network, since a host has 2^64 addresses there.
func Source(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil || a.Unmap().Is4() {
		return host
	}
	network, err := a.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return network.String()
}

// read returns at most limit bytes of body and whether there are more. A body
// that is not small takes one of the places that there are.
func (l *limits) read(body io.Reader, limit int64) (b []byte, more bool, err error) {
	b, err = io.ReadAll(io.LimitReader(body, min(limit, smallBody)+1))
	if err != nil || int64(len(b)) <= min(limit, smallBody) {
		return b, false, err
	}
	if int64(len(b)) > limit {
		return nil, true, nil
	}
	if l.largeBodies.Add(1) > maxLargeBodies {
		l.largeBodies.Add(-1)
		return nil, false, exceeded("")
	}
	defer l.largeBodies.Add(-1)
	rest, err := io.ReadAll(io.LimitReader(body, limit-int64(len(b))+1))
	b = append(b, rest...)
	if int64(len(b)) > limit {
		return nil, true, err
	}
	return b, false, err
}
