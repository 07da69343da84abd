// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// CHAP is what this machine proves itself with to a target that asks for it (RFC
// 7143 §12.1.4). The zero value offers no proof. However it is printed, logged or
// encoded, it shows the user name alone.
type CHAP struct {
	Username string
	Password string
}

// Format prints the user name, whatever the verb: %+v and %#v would else take
// the fields one by one.
func (c CHAP) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.Username) }

// LogValue keeps the password from handlers that look into what they log.
func (c CHAP) LogValue() slog.Value { return slog.StringValue(c.Username) }

// MarshalJSON encodes the user name.
func (c CHAP) MarshalJSON() ([]byte, error) { return json.Marshal(c.Username) }
