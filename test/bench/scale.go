// SPDX-License-Identifier: Apache-2.0

package main

import "context"

func scale(ctx context.Context, s *stage) error { return nil }
