// SPDX-License-Identifier: Apache-2.0

package hands

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// connect serves ops to a Hands without a machine between them.
func connect(t *testing.T, ops Operations) *Hands {
	t.Helper()
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	h := &Hands{name: "here", stdin: stdin, ended: make(chan struct{}), waiting: map[int]chan answer{}}
	go func() { out.CloseWithError(Serve(context.Background(), in, out, ops)) }()
	go func() {
		h.err = h.receive(stdout)
		close(h.ended)
	}()
	t.Cleanup(h.Close)
	return h
}

func TestCall(t *testing.T) {
	h := connect(t, Operations{
		"half": Op(func(_ context.Context, n int) (int, error) {
			if n%2 != 0 {
				return n / 2, errors.New("odd")
			}
			return n / 2, nil
		}),
		"wait": Op(func(ctx context.Context, _ None) (None, error) {
			<-ctx.Done()
			return None{}, ctx.Err()
		}),
	})
	var got int
	if err := h.Call(t.Context(), "half", 8, &got); err != nil || got != 4 {
		t.Errorf("half of 8 is %d, %v", got, err)
	}
	if err := h.Call(t.Context(), "half", 9, &got); err == nil || err.Error() != "here: half: odd" || got != 4 {
		t.Errorf("half of 9 is %d, %v", got, err)
	}
	if err := h.Call(t.Context(), "half", "x", nil); err == nil {
		t.Error("half of x is no error")
	}
	if err := h.Call(t.Context(), "double", 1, nil); err == nil {
		t.Error("an operation that is not there is no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	// The answer of one that waits does not hold up another's.
	waited := make(chan error)
	go func() { waited <- h.Call(ctx, "wait", None{}, nil) }()
	if err := h.Call(t.Context(), "half", 2, &got); err != nil || got != 1 {
		t.Errorf("half of 2 is %d, %v", got, err)
	}
	if err := <-waited; err == nil || err.Error() != "here: wait: context deadline exceeded" {
		t.Errorf("a wait that takes too long ends with %v", err)
	}
}

func TestCallAfterTheEnd(t *testing.T) {
	h := connect(t, Operations{})
	h.Close()
	if err := h.Call(t.Context(), "any", None{}, nil); err == nil {
		t.Error("a call of what has ended is no error")
	}
}
