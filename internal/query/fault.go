// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// maxMessage bounds a message, which may quote a value of the caller's, in bytes.
const maxMessage = 1024

// Fault is an error as callers of a Query API see it. Nothing in it is secret.
type Fault struct {
	Code    string // for programs: "InvalidVolume.NotFound"
	Message string // for people; names the value at fault
	// Whole keeps a message from being cut: one that quotes nothing of any length.
	Whole bool
}

// Error returns code and message.
func (f *Fault) Error() string { return f.Code + ": " + f.Message }

// Faultf returns a fault with a formatted message.
func Faultf(code, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ServeHTTP answers any call with f.
func (f *Fault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := cmp.Or(telemetry.RequestID(r.Context()), mallee.NewRequestID())
	answer{id: id, status: f.status(), body: f.encode(id)}.write(w)
}

// status returns the HTTP status that EC2 gives with the code ("EC2 API
// Reference: Error codes"). SDKs try a call again after any 5xx.
func (f *Fault) status() int {
	switch f.Code {
	case "AuthFailure":
		return http.StatusUnauthorized
	case "MissingAuthenticationToken", "UnauthorizedOperation":
		return http.StatusForbidden
	case "MethodNotAllowed":
		return http.StatusMethodNotAllowed
	case "DryRunOperation":
		return http.StatusPreconditionFailed
	case "RequestEntityTooLarge":
		return http.StatusRequestEntityTooLarge
	case "InternalError", "InsufficientVolumeCapacity":
		return http.StatusInternalServerError
	case "NotFound":
		return http.StatusNotFound
	case "RequestTimeout":
		return http.StatusRequestTimeout
	case "Unavailable", "RequestLimitExceeded":
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

func (f *Fault) encode(id mallee.RequestID) []byte {
	type failure struct {
		Code    string
		Message string
	}
	message := f.Message
	if len(message) > maxMessage && !f.Whole {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	b, err := xml.Marshal(struct {
		XMLName   xml.Name         `xml:"Response"`
		Errors    []failure        `xml:"Errors>Error"`
		RequestID mallee.RequestID `xml:"RequestID"`
	}{Errors: []failure{{f.Code, message}}, RequestID: id})
	if err != nil {
		// Three strings cannot fail to encode.
		panic(err)
	}
	return append([]byte(xml.Header), b...)
}

func missing(parameter string) *Fault {
	return Faultf("MissingParameter", "The request must contain the parameter %s", parameter)
}
