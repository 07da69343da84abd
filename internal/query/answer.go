// SPDX-License-Identifier: Apache-2.0

package query

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
)

// Reply is the head of EC2's answers: embedded first in an Out, it is filled in
// by the handler.
type Reply struct {
	RequestID mallee.RequestID `xml:"requestId"`
}

func (r *Reply) setRequestID(id mallee.RequestID) { r.RequestID = id }

// Set is a list as Query answers have them, <volumeSet><item>…</item></volumeSet>.
// The outer element is there even when the list is empty, since boto gives its
// users no key at all for a list that is absent.
type Set[T any] struct {
	Items []T `xml:"item"`
}

func (h *Handler) encode(c call, id mallee.RequestID, out any) ([]byte, error) {
	if r, ok := out.(interface{ setRequestID(mallee.RequestID) }); ok {
		r.setRequestID(id)
	}
	b := bytes.NewBufferString(xml.Header)
	err := xml.NewEncoder(b).EncodeElement(out, h.options.Root(c.action, c.version))
	return b.Bytes(), err
}

// fault returns what the caller may see of err. What is neither a fault nor an
// error made for people may hold anything, raw output or an address, and is
// kept for the log.
func (h *Handler) fault(err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return &Fault{Code: string(e.Code), Message: e.Message}
	}
	if e, ok := errors.AsType[*mallee.Error](err); ok && e.Kind != mallee.Internal {
		return h.options.Fault(e)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Faultf("Unavailable", "The cloud controller did not get an answer in time. Try again.")
	}
	return Faultf("InternalError", "An internal error has occurred. The cloud controller's log tells more under this request id.")
}
