// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
)

// part is what a process of every role but the cloud controller's stands on.
type part struct {
	bundle *rpc.Bundle
	dir    string   // where the bundle is kept
	clc    []string // "host:port" of each cloud controller's agents' port
}

// openPart reads what the joining has left in dir. Clc is what the configuration
// names, if it does.
func openPart(role mallee.Role, dir string, clc []string) (part, error) {
	bundle, err := rpc.LoadBundle(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return part{}, &mallee.Error{
			Op: "start", Kind: mallee.IncorrectState, ID: string(role), Err: err,
			Hint: fmt.Sprintf("this machine has not joined: mallee token create --role %[1]s, then malleed %[1]s join URL TOKEN", role),
		}
	}
	if err != nil {
		return part{}, err
	}
	if own := bundle.Identity(); own.Role != role {
		return part{}, fmt.Errorf("the certificate in %s is of %s, and this is to run as %s", dir, own, role)
	}
	if len(clc) == 0 {
		if clc, err = join.Addresses(dir); err != nil {
			return part{}, err
		}
	}
	return part{bundle, dir, clc}, nil
}

// of refuses a partition that the certificate is not for.
func (p part) of(partition string) error {
	if own := p.bundle.Identity(); own.Partition != partition {
		return &mallee.Error{
			Op: "start", Kind: mallee.IncorrectState, ID: own.Name,
			Hint: fmt.Sprintf("set %s.partition right, or join again with a token for the other partition", own.Role),
			Err:  fmt.Errorf("its certificate is for partition %s and the configuration says %s", own.Partition, partition),
		}
	}
	return nil
}

// dial returns what connects to parts of a role.
func (p part) dial(role mallee.Role) func(addr string) (*grpc.ClientConn, error) {
	return func(addr string) (*grpc.ClientConn, error) { return rpc.Dial(addr, p.bundle, role) }
}

// dialSP connects to storage processors.
func (p part) dialSP(target string, o ...grpc.DialOption) (*grpc.ClientConn, error) {
	return rpc.Dial(target, p.bundle, rpc.SP, o...)
}

// renew keeps the certificate from ending.
func (p part) renew(ctx context.Context, log *slog.Logger) error {
	return join.Renewal{Bundle: p.bundle, Dir: p.dir, CLC: p.clc, Dial: p.dial(rpc.CLC), Log: log}.Run(ctx)
}
