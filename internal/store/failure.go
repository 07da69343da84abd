// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
)

// opTimeout bounds one request to etcd with all its tries, whatever the caller's
// deadline is. tryTimeout bounds each of them: a member that hangs must not
// use up the time in which another would answer.
const (
	opTimeout  = 10 * time.Second
	tryTimeout = 3 * time.Second
	tryPause   = 100 * time.Millisecond
)

// request asks etcd until it answers, for opTimeout at most. Doubt tells that a
// try before the last one may have been carried out all the same.
func request[T any](ctx context.Context, ask func(context.Context) (T, error)) (answer T, doubt bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	for {
		answer, err = try(ctx, ask)
		if err == nil || !transient(err) {
			return answer, doubt, err
		}
		doubt = true
		select {
		case <-ctx.Done():
			return answer, doubt, err
		case <-time.After(tryPause):
		}
	}
}

func try[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return ask(ctx)
}

// transient tells whether another try, perhaps at another member, may succeed:
// no member answers, or there is no leader, as for a second or two after one has
// died. etcd gives the latter the code Unavailable too (rpctypes/error.go).
func transient(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || codeOf(err) == codes.Unavailable || codeOf(err) == codes.DeadlineExceeded
}

func codeOf(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	return status.Code(err)
}

// failure says that op failed with an error of etcd's.
func failure(op string, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return &mallee.Error{
			Op: op, Kind: mallee.Unavailable, Err: errors.New("etcd holds as much as its quota allows"),
			Hint: "records can still be read; an embedded etcd drops old revisions by itself and takes writes again, of an external one see etcdctl alarm list",
		}
	case transient(err):
		return &mallee.Error{
			Op: op, Kind: mallee.Unavailable, Err: fmt.Errorf("etcd does not answer: %w", err),
			Hint: "see that most of etcd's members run and can be reached",
		}
	}
	return fmt.Errorf("cannot %s: %w", op, err)
}
