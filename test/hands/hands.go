// SPDX-License-Identifier: Apache-2.0

// Package hands lets a test on the host do things inside a machine of the lab: call
// the real connector there, steer a SAN, ask the kernel.
//
// The program test/inside runs in the machine, one role of it for each job (node,
// san). A role is a set of operations. The host sends a request, one line of JSON,
// and gets an answer, one line too; any number may be under way at once. The role
// keeps its state from its start to its end, as a daemon does. What is measured is
// measured inside, so that the way to the machine is not part of it.
package hands

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// request asks for one operation.
type request struct {
	ID   int
	Op   string
	Args json.RawMessage
	// Timeout is how long the host will wait; 0 is without an end.
	Timeout time.Duration
}

// answer is the end of one.
type answer struct {
	ID     int
	Error  string // empty for success
	Result json.RawMessage
}

// Operations are those of a role, by name.
type Operations map[string]operation

type operation func(ctx context.Context, args json.RawMessage) (any, error)

// Op makes an operation of a function. Its arguments and its result travel as JSON.
// The result travels beside an error, too.
func Op[A, R any](do func(context.Context, A) (R, error)) operation {
	return func(ctx context.Context, text json.RawMessage) (any, error) {
		var args A
		if err := json.Unmarshal(text, &args); err != nil {
			return nil, fmt.Errorf("cannot read the arguments: %w", err)
		}
		return do(ctx, args)
	}
}

// None are the arguments, or the result, of an operation that has none.
type None struct{}

// Serve carries out the requests that come in, each beside the others, until in
// ends or ctx does, and returns when all of them have ended.
func Serve(ctx context.Context, in io.Reader, out io.Writer, ops Operations) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var mu sync.Mutex // of out
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r request
		if err := decoder.Decode(&r); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("cannot read a request: %w", err)
		}
		running.Go(func() {
			a := ops.serve(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			_ = encoder.Encode(a) // the host may have gone; nobody else wants it
		})
	}
}

func (ops Operations) serve(ctx context.Context, r request) answer {
	a := answer{ID: r.ID}
	do, ok := ops[r.Op]
	if !ok {
		a.Error = fmt.Sprintf("there is no operation %q", r.Op)
		return a
	}
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	result, err := do(ctx, r.Args)
	if err != nil {
		a.Error = err.Error()
	}
	if a.Result, err = json.Marshal(result); err != nil && a.Error == "" {
		a.Error = fmt.Sprintf("cannot write the result: %v", err)
	}
	return a
}
