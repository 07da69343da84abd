// SPDX-License-Identifier: Apache-2.0

package join

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/mallee-io/mallee"
)

// Path is where a cloud controller takes requests, by POST over HTTPS.
const Path = "/v1/join"

// MaxBody bounds a request and an answer, in bytes.
const MaxBody = 16 << 10

// Request is what a machine sends, as JSON.
type Request struct {
	ID     string      `json:"id"` // of the token
	Secret string      `json:"secret"`
	Role   mallee.Role `json:"role"` // what the machine means to become
	CSR    []byte      `json:"csr"`  // PKCS#10, DER; only its key is looked at
	// Initiator is the initiator name of a node.
	Initiator mallee.IQN `json:"initiator,omitempty"`
}

// Answer makes the machine a part.
type Answer struct {
	Certificate []byte   `json:"certificate"` // PEM
	CA          []byte   `json:"ca"`          // PEM
	CLC         []string `json:"clc"`         // "host:port" where the cloud controller serves agents
}

// Refusal is the answer to a request that is refused.
type Refusal struct {
	Op      string      `json:"op"`
	Kind    mallee.Kind `json:"kind"`
	ID      string      `json:"id,omitempty"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"`
}

// NewRefusal returns the HTTP status and the refusal for an error. Of one that
// is not a *mallee.Error nothing is told.
func NewRefusal(err error) (status int, r Refusal) {
	e, ok := errors.AsType[*mallee.Error](err)
	if !ok {
		e = &mallee.Error{Op: "join", Kind: mallee.Internal, Err: errors.New("an internal error occurred: see the log of the cloud controller")}
	}
	status = map[mallee.Kind]int{
		mallee.Denied: http.StatusForbidden, mallee.InUse: http.StatusConflict,
		mallee.Unavailable: http.StatusServiceUnavailable, mallee.Internal: http.StatusInternalServerError,
	}[e.Kind]
	return cmp.Or(status, http.StatusBadRequest), Refusal{Op: e.Op, Kind: e.Kind, ID: e.ID, Message: e.Err.Error(), Hint: e.Hint}
}

func (r Refusal) error() error {
	return &mallee.Error{Op: r.Op, Kind: r.Kind, ID: r.ID, Hint: r.Hint, Err: errors.New(r.Message)}
}
