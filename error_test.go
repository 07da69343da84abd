// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/mallee-io/mallee"
)

func TestErrorReadsAsASentence(t *testing.T) {
	err := &mallee.Error{
		Op: "attach", Kind: mallee.Unavailable, ID: "vol-1a2b3c4d", Hint: "start multipathd",
		Err: errors.New("login to 10.108.1.201:3260: login timed out"),
	}
	if got, want := err.Error(), "cannot attach vol-1a2b3c4d: login to 10.108.1.201:3260: login timed out"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err.ID = ""
	if got, want := err.Error(), "cannot attach: login to 10.108.1.201:3260: login timed out"; got != want {
		t.Errorf("without an id: got %q, want %q", got, want)
	}
}

func TestKindOf(t *testing.T) {
	inner := &mallee.Error{Op: "read", Kind: mallee.NotFound, Err: io.EOF}
	outer := &mallee.Error{Op: "attach", Kind: mallee.InUse, Err: fmt.Errorf("looking: %w", inner)}
	for _, test := range []struct {
		name string
		err  error
		want mallee.Kind
	}{
		{"its own", inner, mallee.NotFound},
		{"wrapped", fmt.Errorf("call failed: %w", inner), mallee.NotFound},
		{"joined", errors.Join(io.ErrUnexpectedEOF, inner), mallee.NotFound},
		{"the outermost counts", outer, mallee.InUse},
		{"any other", io.EOF, mallee.Internal},
		{"none", nil, mallee.Internal},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := mallee.KindOf(test.err); got != test.want {
				t.Errorf("kind %q, want %q", got, test.want)
			}
		})
	}
	if !errors.Is(outer, io.EOF) {
		t.Error("the cause cannot be found")
	}
}
