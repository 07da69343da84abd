// SPDX-License-Identifier: Apache-2.0

package mallee

import "log/slog"

// CHAP is what a node proves itself with to the SAN when it logs in (RFC 7143
// §12.1.4). It prints as its user name alone.
type CHAP struct {
	Username string
	Password string
}

// String returns the user name. The password must not reach a log by %v.
func (c CHAP) String() string { return c.Username }

// LogValue keeps the password from log/slog, whose JSON would write the fields.
func (c CHAP) LogValue() slog.Value { return slog.StringValue(c.Username) }

// GoString keeps the password from %#v too.
func (c CHAP) GoString() string { return c.Username }
