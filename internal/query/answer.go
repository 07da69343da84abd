// SPDX-License-Identifier: Apache-2.0

package query

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"net/http"

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

// answer is what goes back to the caller.
type answer struct {
	id     mallee.RequestID // in the body too
	status int
	code   string // of the fault; "OK" without one
	body   []byte
	err    error // what the fault was made of, for the log
}

// failed returns the answer to a call that failed with err.
func (h *Handler) failed(id mallee.RequestID, err error) answer {
	fault := h.fault(err)
	return answer{id: id, status: fault.status(), code: fault.Code, body: fault.encode(id), err: err}
}

func (a answer) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/xml;charset=UTF-8")
	header.Set("X-Amzn-Requestid", string(a.id))
	header.Set("Cache-Control", "no-store")
	if a.status == http.StatusMethodNotAllowed {
		header.Set("Allow", "GET, POST")
	}
	w.WriteHeader(a.status)
	// A caller that has gone away cannot be told.
	_, _ = w.Write(a.body)
}

func (h *Handler) encode(c call, id mallee.RequestID, out any) ([]byte, error) {
	if r, ok := out.(interface{ setRequestID(mallee.RequestID) }); ok {
		r.setRequestID(id)
	}
	b := bytes.NewBufferString(xml.Header)
	err := xml.NewEncoder(b).EncodeElement(out, h.options.Root(c.action.Name, c.version))
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
