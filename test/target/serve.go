// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/mallee-io/mallee/test/hands"
)

// Operations are those of the role san of test/inside. They must run as root in a
// machine whose SAN nobody else steers. Those for one LUN must not overlap.
func Operations() hands.Operations {
	lio := &lio{root: "/sys/kernel/config/target"}
	return hands.Operations{
		opMake: op(lio.makeBackstores),
		opOpen: op(func(_ context.Context, t TPG) error { return lio.open(t) }),
		opMap:  op(func(_ context.Context, c change) error { return lio.put(c) }),
		opSwap: op(func(_ context.Context, c change) error {
			return errors.Join(lio.empty(c.Seats), lio.put(c))
		}),
		opUnmap: op(func(_ context.Context, c change) error {
			return errors.Join(lio.empty(c.Seats), lio.remove(c.Seats))
		}),
		opSuspend: op(suspend),
		opResume:  op(resume),
	}
}

// op makes an operation of a function without a result.
func op[A any](do func(context.Context, A) error) func(context.Context, json.RawMessage) (any, error) {
	return hands.Op(func(ctx context.Context, args A) (hands.None, error) { return hands.None{}, do(ctx, args) })
}
