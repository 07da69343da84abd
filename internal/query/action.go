// SPDX-License-Identifier: Apache-2.0

package query

import "context"

// Action is one entry of an API's table.
type Action struct {
	Name  string
	reads bool // changes nothing, and so may be carried out any number of times
	call  func(context.Context, parameters) (any, error)
}

// Handle makes the entry of an action that changes something and is carried out
// by do. In is a struct whose fields are tagged with the parameters that they
// hold; see decode. Out is a struct with encoding/xml's tags.
//
// The same signed request is carried out once; see replays.
func Handle[In, Out any](name string, do func(context.Context, In) (*Out, error)) Action {
	return Action{Name: name, call: decoded(do)}
}

// HandleRead is Handle for an action that changes nothing.
func HandleRead[In, Out any](name string, do func(context.Context, In) (*Out, error)) Action {
	return Action{Name: name, reads: true, call: decoded(do)}
}

func decoded[In, Out any](do func(context.Context, In) (*Out, error)) func(context.Context, parameters) (any, error) {
	return func(ctx context.Context, p parameters) (any, error) {
		var in In
		if err := decode(p, &in); err != nil {
			return nil, err
		}
		out, err := do(ctx, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}
