// SPDX-License-Identifier: Apache-2.0

package spclient

import (
	"context"

	"google.golang.org/grpc/metadata"

	"github.com/mallee-io/mallee/internal/san"
)

// The keys of api/sp/v1. A value under one that ends in -bin may hold any byte.
const (
	userKey     = "x-mallee-san-user"
	passwordKey = "x-mallee-san-password-bin" //nolint:gosec // the name of a key
)

// withLogin makes the calls of ctx carry l.
func withLogin(ctx context.Context, l san.Login) context.Context {
	if l == (san.Login{}) {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, userKey, l.User, passwordKey, l.Password)
}
